create or replace function londiste.find_seq_oid(i_seq_name text) returns oid
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.find_seq_oid(1)
--     Looks up a sequence by its unquoted name.
-- Returns: oid, or null when there is no such sequence
-- ----------------------------------------------------------------------
select londiste.find_rel_oid(i_seq_name, 'S');
$$ language sql strict stable;
