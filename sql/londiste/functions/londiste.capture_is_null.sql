create or replace function londiste.capture_is_null(i_row text, i_column londiste.capture_column) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_is_null(2)
--     Returns the condition that is true when a column is null. The condition is not always "is null", which is true also for a
--     composite value whose fields are all null.
-- Parameters: i_row - prefix of the row's columns, e.g. "n"
-- ----------------------------------------------------------------------
begin
    return case
        when exists (select 1 from pg_type t where t.oid = i_column.column_type and t.typtype = 'c')
        then format('pg_catalog.num_nulls(%s.%s) operator(pg_catalog.=) 1', i_row, londiste.capture_field(i_column.column_name))
        else format('%s.%s is null', i_row, londiste.capture_field(i_column.column_name))
    end;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
