create or replace function pgq._quote_value(i_value text, i_null text)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._quote_value(2)
--     Quotes a value as the SQL fragments of events have it: '..', or E'..' when there is a backslash in it.
-- Parameters:
--     i_value - text of the value
--     i_null  - how to write null
-- Returns:
--     SQL literal
-- ----------------------------------------------------------------------
begin
    if i_value is null then
        return i_null;
    elsif position('\' in i_value) > 0 then
        return 'E''' || replace(replace(i_value, '\', '\\'), '''', '''''') || '''';
    end if;
    return '''' || replace(i_value, '''', '''''') || '''';
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
