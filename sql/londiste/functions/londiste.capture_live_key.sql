create or replace function londiste.capture_live_key(i_table oid, i_relation oid, i_key_columns text[]) returns text[]
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_live_key(3)
--     The columns by which events name a row now: those that were asked for, as far as they exist, else the table's own key, else
--     all columns.
-- ----------------------------------------------------------------------
select coalesce(
    (select array_agg(c.column_name order by c.column_nr)
     from londiste.capture_columns(i_relation) c
     where c.column_name = any (coalesce(i_key_columns, londiste.capture_key(i_table)))),
    (select array_agg(c.column_name order by c.column_nr)
     from londiste.capture_columns(i_relation) c));
$$ language sql stable set search_path = pg_catalog, pg_temp;
