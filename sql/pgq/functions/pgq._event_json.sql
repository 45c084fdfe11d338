create or replace function pgq._event_json(i_names text[], i_types oid[], i_used boolean[], i_values text[])
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_json(4)
--     Writes a row as one JSON object. Integers, booleans and nulls are JSON's; every other value is a string of its
--     text, timestamps in the form of ISO 8601.
-- Parameters:
--     i_names  - the columns
--     i_types  - their types
--     i_used   - whether a column goes into events
--     i_values - texts of their values
-- Returns:
--     the object
-- ----------------------------------------------------------------------
begin
    return '{' || coalesce(string_agg(to_json(c.name)::text || ':' || case
               when c.value is null then 'null'
               when c.type in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then c.value
               when c.type = 'bool'::regtype then c.value::boolean::text
               when c.type = 'timestamptz'::regtype then to_json(c.value::timestamptz)::text
               when c.type = 'timestamp'::regtype then to_json(c.value::timestamp)::text
               else to_json(c.value)::text
           end, ','), '') || '}'
    from unnest(i_names, i_types, i_used, i_values) as c (name, type, is_used, value)
    where c.is_used;
end;
$$ language plpgsql stable;
