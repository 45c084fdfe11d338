create or replace function pgq._event_sql(
    i_op text, i_names text[], i_types oid[], i_generated boolean[], i_used boolean[], i_keys text[],
    i_old text[], i_new text[], i_classic boolean)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_sql(9)
--     Writes a changed row as an SQL fragment: the part after "insert into T ", "update T set ", or "delete from T
--     where ". Updates have the changed columns only. Generated columns are left out of inserts and updates.
-- Parameters:
--     i_op        - INSERT, UPDATE, or DELETE
--     i_names, i_types, i_generated - the columns
--     i_used      - whether a column goes into events; key columns always stand in "where"
--     i_keys      - the key columns
--     i_old, i_new - texts of the rows
--     i_classic   - quote column names as PgQ 2.1 did: all keywords, not only reserved ones
-- Returns:
--     the fragment; "key = its own value" for an update that changes nothing
-- ----------------------------------------------------------------------
declare
    v_name      text;
    v_names     text[];
    v_values    text[];
    v_set       text[];
    v_where     text[];
begin
    for v_nr in 1 .. cardinality(i_names) loop
        v_name := case when i_classic then pgq._quote_classic(i_names[v_nr]) else quote_ident(i_names[v_nr]) end;
        if i_op = 'INSERT' then
            if i_used[v_nr] and not i_generated[v_nr] then
                v_names := array_append(v_names, v_name);
                v_values := array_append(v_values, pgq._quote_value(i_new[v_nr], 'null'));
            end if;
            continue;
        end if;
        if i_op = 'UPDATE' and i_used[v_nr] and not i_generated[v_nr]
           and pgq._is_changed(i_old[v_nr], i_new[v_nr], i_types[v_nr]) then
            v_set := array_append(v_set, v_name || '=' || pgq._quote_value(i_new[v_nr], 'NULL'));
        end if;
        if i_names[v_nr] = any (i_keys) then
            if i_old[v_nr] is null then
                raise exception using
                    errcode = 'null_value_not_allowed',
                    message = 'logtriga: Unexpected NULL key value',
                    detail = format('Column: %s', i_names[v_nr]);
            end if;
            v_where := array_append(v_where, v_name || '=' || pgq._quote_value(i_old[v_nr], null));
        end if;
    end loop;
    return case i_op
        when 'INSERT' then
            format('(%s) values (%s)', array_to_string(v_names, ','), array_to_string(v_values, ','))
        when 'UPDATE' then
            format('%s where %s', coalesce(array_to_string(v_set, ','), v_where[1]), array_to_string(v_where, ' and '))
        else
            array_to_string(v_where, ' and ')
    end;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
