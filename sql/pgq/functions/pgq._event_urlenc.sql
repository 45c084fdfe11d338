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
begin
    return coalesce(string_agg(pgq._urlencode(c.name) || coalesce('=' || case
               when c.value ~ '[^A-Za-z0-9._-]' then pgq._urlencode(c.value)
               else c.value
           end, ''), '&'), '')
    from unnest(i_names, i_used, i_values) as c (name, is_used, value)
    where c.is_used;
end;
$$ language plpgsql immutable;
