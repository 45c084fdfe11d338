create or replace function londiste.capture_constants(i_table_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_constants(1)
--     Returns the expressions for the columns of an event that are the same for all rows of a statement: the time, and the name of
--     the captured table in the set (events keep it when the table is renamed). Each has a comma before it.
-- ----------------------------------------------------------------------
begin
    return format(', pg_catalog.now(), %L', i_table_name);
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
