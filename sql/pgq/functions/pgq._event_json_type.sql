create or replace function pgq._event_json_type(i_op text, i_schema text, i_table text, i_keys text[])
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_json_type(4)
--     Writes the ev_type of an event in JSON.
-- Parameters:
--     i_op              - INSERT, UPDATE, DELETE, or TRUNCATE
--     i_schema, i_table - the table
--     i_keys            - key columns of the table
-- Returns:
--     a JSON object
-- ----------------------------------------------------------------------
begin
    return format('{"op":"%s","table":[%s,%s],"pkey":[%s]}', i_op, to_json(i_schema), to_json(i_table),
        (select string_agg(to_json(k)::text, ',' order by nr) from unnest(i_keys) with ordinality as f (k, nr)));
end;
$$ language plpgsql immutable;
