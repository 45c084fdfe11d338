create or replace function londiste.find_column_types(i_table_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.find_column_types(1)
--     Returns the column letters of a table, as the trigger function pgq.logtriga takes them.
-- Returns: one letter for each live column in table order, k for a column of the primary key, v for any other; null when there
--     is no such table
-- ----------------------------------------------------------------------
select pg_catalog.string_agg(case when k.indexrelid is null then 'v' else 'k' end, '' order by a.attnum)
from pg_catalog.pg_attribute a
left join pg_catalog.pg_index k on k.indrelid = a.attrelid and k.indisprimary and a.attnum = any (k.indkey::int2[])
where a.attrelid = londiste.find_table_oid(i_table_name)
  and a.attnum > 0
  and not a.attisdropped;
$$ language sql strict stable;
