create or replace function pgq._is_changed(i_old text, i_new text, i_type oid)
returns boolean as $$
-- Function: pgq._is_changed(3)
--     Tells from the texts of a column's old and new value whether an update has changed it. Every difference that can
--     be seen counts, but a numeric that differs in trailing zeros only is the same number.
-- Parameters: i_old, i_new - texts of the values; i_type - the column's type
-- Returns: whether they differ
select case
           when i_old is not distinct from i_new then false
           when i_type = 'pg_catalog.numeric'::regtype and i_old is not null and i_new is not null
           then i_old::numeric <> i_new::numeric
           else true
       end;
$$ language sql immutable;
