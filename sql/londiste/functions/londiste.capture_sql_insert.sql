create or replace function londiste.capture_sql_insert(i_row text, i_columns londiste.capture_column[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_sql_insert(2)
--     Returns the expression for the data of an insert event of format sql: (a,b) values ('1',NULL)
--
--     format('%L') makes the text of a value with the output function of its type, and quotes the text as the server reads it; it makes NULL of a null.
-- Parameters:
--     i_row     - prefix of the row's columns, e.g. "n"
--     i_columns - columns that go into the event
-- ----------------------------------------------------------------------
begin
    return (
        select londiste.capture_format(
            array_agg(case when c.nr = 1 then replace(h.head, '%', '%%') else ',' end || '%L'
                      || case when c.nr = cardinality(i_columns) then ')' else '' end order by c.nr),
            array_agg(format('%s.%s', i_row, londiste.capture_field(c.column_name)) order by c.nr))
        from unnest(i_columns) with ordinality c(column_nr, column_name, column_type, is_nullable, is_fixed, fragment_name, nr)
        cross join (select '(' || string_agg(u.fragment_name, ',' order by u.nr) || ') values (' as head
                    from unnest(i_columns) with ordinality u(column_nr, column_name, column_type, is_nullable, is_fixed, fragment_name, nr)) h);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
