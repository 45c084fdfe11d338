create or replace function londiste.capture_used_columns(
    i_capture londiste.capture, i_table oid, i_relation oid,
    out all_columns londiste.capture_column[], out key_columns londiste.capture_column[])
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_used_columns(3)
--     The columns of a relation that go into events, and those by which events name a row: the ones that were asked for, else the
--     table's own key; when DDL has taken away what there was, all columns.
-- ----------------------------------------------------------------------
select array_agg(c order by c.column_nr)
           filter (where c.column_name <> all (i_capture.ignored_columns) or c.column_name = any (k.names)),
       coalesce(array_agg(c order by c.column_nr) filter (where c.column_name = any (k.names)),
                array_agg(c order by c.column_nr))
from londiste.capture_columns(i_relation) c
cross join (select coalesce(i_capture.key_columns, londiste.capture_key(i_table)) as names) k;
$$ language sql stable set search_path = pg_catalog, pg_temp;
