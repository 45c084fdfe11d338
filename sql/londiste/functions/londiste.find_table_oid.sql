create or replace function londiste.find_table_oid(i_table_name text) returns oid
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.find_table_oid(1)
--     Looks up a table, plain or partitioned, by its unquoted name.
-- Returns: oid, or null when there is no such table
-- ----------------------------------------------------------------------
select londiste.find_rel_oid(i_table_name, 'r');
$$ language sql strict stable;
