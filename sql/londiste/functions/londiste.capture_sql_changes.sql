create or replace function londiste.capture_sql_changes(i_old text, i_new text, i_columns londiste.capture_column[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_sql_changes(3)
--     The expression that makes the changed columns of an update event of format sql, each with a comma before it: ,a='1',b=NULL
--     Empty when nothing changed.
-- ----------------------------------------------------------------------
select londiste.capture_format(
    array_agg('%s'::text order by c.nr),
    array_agg(format('case when %s then %L else pg_catalog.format(%L, %s.%I) end',
                     londiste.capture_same(i_old, i_new, i_columns[c.nr]), '',
                     ',' || replace(londiste.quote_fragment_name(c.column_name), '%', '%%') || '=%L', i_new, c.column_name)
              order by c.nr))
from unnest(i_columns) with ordinality c(column_nr, column_name, column_type, is_nullable, is_fixed, nr);
$$ language sql stable set search_path = pg_catalog, pg_temp;
