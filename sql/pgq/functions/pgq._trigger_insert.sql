create or replace function pgq._trigger_insert(
    i_format text, i_op text, i_relid oid, i_schema text, i_table text, i_args text[],
    i_old text, i_new text, i_computed text[])
returns void as $$
-- ----------------------------------------------------------------------
-- Function: pgq._trigger_insert(9)
--     Puts the event of one changed row, or of one truncate, into the queue. sqltriga, logutriga and jsontriga call it.
-- Parameters:
--     i_format     - sql, urlenc, or json: how ev_type and ev_data are written
--     i_op         - INSERT, UPDATE, DELETE, or TRUNCATE
--     i_relid, i_schema, i_table - the table
--     i_args       - the trigger's arguments
--     i_old, i_new - texts of the rows, null where there is none
--     i_computed   - result of the query of pgq._trigger_expressions(2), or null
-- Calls:
--     pgq._trigger_options(1), pgq._trigger_columns(2), pgq._row_values(1), pgq._event_sql(9), pgq._event_urlenc(3),
--     pgq._event_json(4), pgq._set_fields(5), pgq.insert_event(7), which users may have replaced
-- Writes:
--     the current event table of the queue
-- ----------------------------------------------------------------------
declare
    c_special   constant text[] := array['_pgq_ev_type', '_pgq_ev_data', '_pgq_ev_extra1', '_pgq_ev_extra2',
                                         '_pgq_ev_extra3', '_pgq_ev_extra4'];
    v_options   record;
    v_columns   record;
    v_keys      text[];
    v_used      boolean[];
    -- Whether a change of the column makes an event of the whole row: for that, the special ones count.
    v_watched   boolean[];
    v_old       text[] := pgq._row_values(i_old);
    v_new       text[] := pgq._row_values(i_new);
    v_row       text[] := coalesce(v_new, v_old);
    v_fields    text[] := array[null, null, i_schema || '.' || i_table, null, null, null];
begin
    select * into v_options from pgq._trigger_options(i_args);
    select * into v_columns
    from pgq._trigger_columns(i_relid, v_options.key_columns is null and (i_format <> 'sql' or i_op <> 'INSERT'));
    v_keys := coalesce(v_options.key_columns, v_columns.key_columns, '{}');
    if v_keys = '{}' and i_op in ('UPDATE', 'DELETE') then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'Update/Delete on table without pkey',
            detail = format('Table: %I.%I', i_schema, i_table),
            hint = 'Add a primary key, or name the key columns in the trigger''s arguments: pkey=COL,...';
    elsif v_options.condition is not null
          and not pgq._is_wanted(v_options.condition, i_computed[7], v_columns.names, v_row) then
        return;
    end if;
    if v_options.ignored = '{}' and not v_columns.names && c_special then
        v_used := array_fill(true, array[cardinality(v_columns.names)]);
        v_watched := v_used;
    else
        v_watched := array(select n <> all (v_options.ignored) from unnest(v_columns.names) n);
        v_used := array(select n <> all (v_options.ignored || c_special) from unnest(v_columns.names) n);
    end if;

    v_fields[1] := case i_format
        when 'urlenc' then left(i_op, 1) || ':' || array_to_string(v_keys, ',')
        when 'json' then pgq._event_json_type(i_op, i_schema, i_table, v_keys)
        else left(i_op, 1)
    end;
    if i_op = 'TRUNCATE' then
        v_fields[1] := case i_format when 'json' then v_fields[1] else 'R' end;
        v_fields[2] := case i_format when 'json' then '{}' else '' end;
    elsif i_format = 'sql' then
        v_fields[2] := pgq._event_sql(i_op, v_columns.names, v_columns.types, v_columns.is_generated, v_used, v_keys,
                                      v_old, v_new, false);
        if v_fields[2] is null then
            return;
        end if;
    elsif i_op = 'UPDATE'
          and not pgq._whole_row_update(v_columns.names, v_columns.types, v_watched, v_keys, v_old, v_new) then
        return;
    elsif i_format = 'urlenc' then
        v_fields[2] := pgq._event_urlenc(v_columns.names, v_used, v_row);
    else
        v_fields[2] := pgq._event_json(v_columns.names, v_columns.types, v_used, v_row);
    end if;
    if v_options.is_backup and i_op = 'UPDATE' then
        v_fields[4] := case i_format when 'json' then pgq._event_json(v_columns.names, v_columns.types, v_used, v_old)
                                     else pgq._event_urlenc(v_columns.names, v_used, v_old) end;
    end if;
    if i_op <> 'TRUNCATE' and (v_options.fields is not null or v_columns.names && c_special) then
        v_fields := pgq._set_fields(v_fields, v_options.fields, i_computed, v_columns.names, v_row);
    end if;
    perform pgq.insert_event(v_options.queue_name, v_fields[1], v_fields[2], v_fields[3], v_fields[4], v_fields[5], v_fields[6]);
end;
$$ language plpgsql;
