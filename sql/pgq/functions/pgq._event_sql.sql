create or replace function pgq._event_sql(
    i_op text, i_names text[], i_types oid[], i_generated boolean[], i_used boolean[], i_keys text[],
    i_old text[], i_new text[], i_classic boolean)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_sql(9)
--     Writes a changed row as an SQL fragment: the part after "insert into T ", "update T set ", or "delete from T
--     where ". Updates have the changed columns only. Generated columns are left out of inserts and updates.
-- Parameters:
--     i_op         - INSERT, UPDATE, or DELETE
--     i_names, i_types, i_generated - the columns
--     i_used       - whether a column goes into events; key columns always stand in "where"
--     i_keys       - the key columns
--     i_old, i_new - texts of the rows
--     i_classic    - quote column names as PgQ 2.1 did: all keywords, not only reserved ones
-- Returns:
--     the fragment; "key = its own value" for an update that changes nothing; null for one that changes only
--     columns that do not go into events
-- ----------------------------------------------------------------------
declare
    v_name      text;
    v_names     text[];
    v_values    text[];
    v_set       text[];
    v_where     text[];
    v_ignored   boolean := false;
begin
    -- A loop of simple expressions: the server computes these without the cost of starting a query.
    for v_nr in 1 .. cardinality(i_names) loop
        v_name := case when i_classic then pgq._quote_classic(i_names[v_nr]) else quote_ident(i_names[v_nr]) end;
        if i_op = 'INSERT' then
            if i_used[v_nr] and not i_generated[v_nr] then
                v_names := array_append(v_names, v_name);
                v_values := array_append(v_values, coalesce(quote_literal(i_new[v_nr]), 'null'));
            end if;
            continue;
        end if;
        if i_op = 'UPDATE' and pgq._is_changed(i_old[v_nr], i_new[v_nr], i_types[v_nr]) then
            if not i_used[v_nr] then
                v_ignored := true;
            elsif not i_generated[v_nr] then
                v_set := array_append(v_set, v_name || '=' || coalesce(quote_literal(i_new[v_nr]), 'NULL'));
            end if;
        end if;
        if i_names[v_nr] = any (i_keys) then
            if i_old[v_nr] is null then
                raise exception using
                    errcode = 'null_value_not_allowed',
                    message = 'logtriga: Unexpected NULL key value',
                    detail = format('Column: %s', i_names[v_nr]);
            end if;
            v_where := array_append(v_where, v_name || '=' || quote_literal(i_old[v_nr]));
        end if;
    end loop;
    if i_op = 'INSERT' then
        return '(' || array_to_string(v_names, ',') || ') values (' || array_to_string(v_values, ',') || ')';
    elsif i_op = 'DELETE' then
        return array_to_string(v_where, ' and ');
    elsif v_set is null and v_ignored then
        return null;
    end if;
    return coalesce(array_to_string(v_set, ','), v_where[1]) || ' where ' || array_to_string(v_where, ' and ');
end;
$$ language plpgsql immutable;
