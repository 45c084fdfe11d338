create or replace function pgq._event_urlenc(i_names text[], i_used boolean[], i_values text[])
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_urlenc(3)
--     Writes a row as name=value&...; a null is a name alone.
-- Parameters:
--     i_names  - the columns
--     i_used   - whether a column goes into events
--     i_values - texts of their values
-- Returns:
--     the row, encoded
-- ----------------------------------------------------------------------
declare
    v_items     text[] := '{}';
begin
    for v_nr in 1 .. cardinality(i_names) loop
        if i_used[v_nr] then
            v_items := array_append(v_items,
                pgq._urlencode(i_names[v_nr]) || coalesce('=' || pgq._urlencode(i_values[v_nr]), ''));
        end if;
    end loop;
    return array_to_string(v_items, '&');
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
