create or replace function londiste.capture_plan(i_table oid, i_relation oid, i_key_columns text[])
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_plan(3)
--     Returns everything about a relation that its capture functions are generated for, as one text: the key and the columns.
--     The generated functions are right as long as this text stays the same. The declared types are part of it because PL/pgSQL
--     refuses a column whose type, or whose domain's base type, is another than when the session first ran the function.
-- Parameters: i_key_columns - as in londiste.capture
-- ----------------------------------------------------------------------
begin
    return format('key %s columns %s types %s floats %s',
           londiste.capture_usable_key(i_table, i_key_columns),
           (select string_agg(format('%s %s %s%s', c.column_nr, to_json(c.column_name), c.column_type,
                                     case when c.is_nullable then '' else ' not null' end), ', ' order by c.column_nr)
            from londiste.capture_columns(i_relation) c),
           (select d.types from londiste.capture_declared(i_relation) d),
           -- londiste.capture_pinning: older servers shorten floats.
           current_setting('server_version_num')::int >= 120000);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
