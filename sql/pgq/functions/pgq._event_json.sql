create or replace function pgq._event_json(i_names text[], i_types oid[], i_used boolean[], i_values text[])
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_json(4)
--     Writes a row as one JSON object. Integers, booleans and nulls become JSON's own; a timestamp becomes a string in the
--     form of ISO 8601, every other value a string with the text that its type prints.
-- Parameters:
--     i_names  - the columns
--     i_types  - types of the columns
--     i_used   - whether a column goes into events
--     i_values - the values as text
-- Returns:
--     the object
-- ----------------------------------------------------------------------
declare
    v_items     text[] := '{}';
begin
    for v_nr in 1 .. cardinality(i_names) loop
        continue when not i_used[v_nr];
        v_items := array_append(v_items, to_json(i_names[v_nr])::text || ':' || case
            when i_values[v_nr] is null then 'null'
            when i_types[v_nr] in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then i_values[v_nr]
            when i_types[v_nr] = 'bool'::regtype then i_values[v_nr]::boolean::text
            when i_types[v_nr] = 'timestamptz'::regtype then to_json(i_values[v_nr]::timestamptz)::text
            when i_types[v_nr] = 'timestamp'::regtype then to_json(i_values[v_nr]::timestamp)::text
            else to_json(i_values[v_nr])::text
        end);
    end loop;
    return '{' || array_to_string(v_items, ',') || '}';
end;
$$ language plpgsql stable;
