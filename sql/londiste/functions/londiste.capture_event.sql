create or replace function londiste.capture_event(
    i_capture londiste.capture, i_operation text,
    i_columns londiste.capture_column[], i_key londiste.capture_column[], i_row text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_event(5)
--     Returns the expressions for ev_type and ev_data of an event that describes one row (an insert, a delete and, except in
--     format sql, an update) or a truncate.
-- Parameters:
--     i_operation - i, u, d or t
--     i_columns   - columns of the row
--     i_key       - columns of the key
--     i_row       - prefix of the row's columns, e.g. "n"
-- ----------------------------------------------------------------------
begin
    return (
        select case i_capture.event_format
            when 'sql' then
                format('%L::pg_catalog.text as ev_type, %s as ev_data', upper(replace(i_operation, 't', 'r')),
                       case i_operation when 'i' then londiste.capture_sql_insert(i_row, i_columns)
                                        when 'd' then londiste.capture_sql_delete(i_row, i_key)
                                        else '''''::pg_catalog.text' end)
            when 'urlenc' then
                format('%L::pg_catalog.text as ev_type, %s as ev_data',
                       case i_operation when 't' then 'R' else upper(i_operation) || ':' || k.key_list end,
                       case i_operation when 't' then '''''::pg_catalog.text' else londiste.capture_urlenc_row(i_row, i_columns) end)
            else
                format('%L::pg_catalog.text as ev_type, %s as ev_data',
                       format('{"op":"%s","table":[%s,%s],"pkey":[%s]}',
                              case i_operation when 'i' then 'INSERT' when 'u' then 'UPDATE' when 'd' then 'DELETE' else 'TRUNCATE' end,
                              to_json(n.schema_name), to_json(n.object_name), k.key_json),
                       case i_operation when 't' then '''{}''::pg_catalog.text' else londiste.capture_json_row(i_row, i_columns) end)
            end
        from londiste.split_fqname(i_capture.table_name) n
        cross join (select string_agg(u.column_name, ',' order by u.column_nr) as key_list,
                           string_agg(to_json(u.column_name)::text, ',' order by u.column_nr) as key_json
                    from unnest(i_key) u) k);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
