create or replace function londiste.capture_sql_update(i_changes text, i_row text, i_key londiste.capture_column[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_sql_update(3)
--     Returns the expression for the data of an update event of format sql: a='1',b=NULL where id='2'
-- Parameters:
--     i_changes - expression for the changed columns, as londiste.capture_sql_changes returns it
--     i_row     - prefix of the old row's columns
--     i_key     - columns of the key
-- ----------------------------------------------------------------------
begin
    return (
        select case
                   when cardinality(k.arguments) <= 90
                   then format('pg_catalog.format(%L, pg_catalog.substr(%s, 2), %s)', '%s where ' || k.template, i_changes,
                               array_to_string(k.arguments, ', '))
                   else format('pg_catalog.substr(%s, 2) operator(pg_catalog.||) %L operator(pg_catalog.||) %s', i_changes, ' where ',
                               londiste.capture_sql_delete(i_row, i_key))
               end
        from londiste.capture_sql_key(i_row, i_key) k);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
