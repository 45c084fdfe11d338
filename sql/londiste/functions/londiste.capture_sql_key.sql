create or replace function londiste.capture_sql_key(
    i_row text, i_columns londiste.capture_column[],
    out template text, out arguments text[])
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_sql_key(2)
--     Returns the arguments of a call of format() that makes the condition on the key in format sql: a='1' and b='2'
-- Parameters:
--     i_row     - prefix of the row's columns, e.g. "o"
--     i_columns - columns of the key
-- ----------------------------------------------------------------------
begin
    select string_agg(case when c.is_nullable then '%s' else replace(c.fragment_name, '%', '%%') || '=%L' end, ' and ' order by c.nr),
           array_agg(case when c.is_nullable
                          then format('case when %s then %L else pg_catalog.format(%L, %s.%s) end',
                                      londiste.capture_is_null(i_row, i_columns[c.nr]),
                                      c.fragment_name || ' is null', replace(c.fragment_name, '%', '%%') || '=%L',
                                      i_row, londiste.capture_field(c.column_name))
                          else format('%s.%s', i_row, londiste.capture_field(c.column_name))
                     end order by c.nr)
    into template, arguments
    from unnest(i_columns) with ordinality c(column_nr, column_name, column_type, is_nullable, is_fixed, fragment_name, nr);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
