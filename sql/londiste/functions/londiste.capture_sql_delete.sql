create or replace function londiste.capture_sql_delete(i_row text, i_key londiste.capture_column[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_sql_delete(2)
--     Returns the expression for the data of a delete event of format sql: a='1' and b='2'
-- ----------------------------------------------------------------------
begin
    return (
        select string_agg(format('pg_catalog.format(%L, %s)', c.template, array_to_string(c.arguments, ', ')),
                          ' operator(pg_catalog.||) '' and '' operator(pg_catalog.||) ' order by c.chunk)
        from (select u.chunk, k.template, k.arguments
              from (select (u.nr - 1) / 90 as chunk,
                           array_agg(row(u.column_nr, u.column_name, u.column_type, u.is_nullable, u.is_fixed, u.fragment_name)::londiste.capture_column
                                     order by u.nr) as columns
                    from unnest(i_key) with ordinality u(column_nr, column_name, column_type, is_nullable, is_fixed, fragment_name, nr)
                    group by (u.nr - 1) / 90) u
              cross join lateral londiste.capture_sql_key(i_row, u.columns) k) c);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
