create or replace function pgq._event_urlenc(i_names text[], i_used boolean[], i_values text[])
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_urlenc(3)
--     Writes a row as name=value&...; a null is a name alone.
-- Parameters:
--     i_names  - the columns
--     i_used   - whether a column goes into events
--     i_values - the values as text
-- Returns:
--     the encoded row
-- ----------------------------------------------------------------------
declare
    v_items     text[] := '{}';
    v_value     text;
begin
    for v_nr in 1 .. cardinality(i_names) loop
        continue when not i_used[v_nr];
        v_value := i_values[v_nr];
        if v_value ~ '[^A-Za-z0-9._-]' then
            v_value := pgq._urlencode(v_value);
        end if;
        v_items := array_append(v_items, case
            when i_names[v_nr] ~ '[^A-Za-z0-9._-]' then pgq._urlencode(i_names[v_nr])
            else i_names[v_nr]
        end || coalesce('=' || v_value, ''));
    end loop;
    return array_to_string(v_items, '&');
end;
$$ language plpgsql immutable;
