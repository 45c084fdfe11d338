create or replace function londiste.capture_sql_changes(i_old text, i_new text, i_columns londiste.capture_column[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_sql_changes(3)
--     Returns the expression for the changed columns of an update event of format sql, each with a comma before it:
--     ,a='1',b=NULL
--
--     The expression gives an empty text when nothing has changed. concat() skips null, which costs less than an empty text.
-- ----------------------------------------------------------------------
begin
    return (
        select string_agg(c.call, ' operator(pg_catalog.||) ' order by c.chunk)
        from (select (u.nr - 1) / 90 as chunk,
                     format('pg_catalog.concat(%s)',
                            string_agg(format('case when %s then null else pg_catalog.format(%L, %s.%s) end',
                                              londiste.capture_same(i_old, i_new, i_columns[u.nr]),
                                              ',' || replace(u.fragment_name, '%', '%%') || '=%L', i_new,
                                              londiste.capture_field(u.column_name)),
                                       ', ' order by u.nr)) as call
              from unnest(i_columns) with ordinality u(column_nr, column_name, column_type, is_nullable, is_fixed, fragment_name, nr)
              group by (u.nr - 1) / 90) c);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
