create or replace function pgq._trigger_insert(
    i_format text, i_op text, i_when text, i_level text, i_relid oid, i_args text[],
    i_old text, i_new text, i_computed text[])
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._trigger_insert(9)
--     Puts the event of one changed row, or of one truncate, into the queue: the part that sqltriga, logutriga and
--     jsontriga have in common.
-- Parameters:
--     i_format   - sql, urlenc, or json: how ev_type and ev_data are written
--     i_op, i_when, i_level, i_relid, i_args - tg_op, tg_when, tg_level, tg_relid, tg_argv
--     i_old, i_new - texts of the rows, null where there is none
--     i_computed   - result of the query of pgq._trigger_expressions(3), or null
-- Returns:
--     whether the row is to be written; false only in a BEFORE trigger with SKIP
-- Calls:
--     pgq._trigger_options(1), pgq._trigger_columns(1), pgq._row_values(1), pgq._event_sql(9), pgq._event_urlenc(3),
--     pgq._event_json(4), pgq._set_fields(5), pgq.insert_event_raw(11)
-- Writes:
--     the current event table of the queue
-- ----------------------------------------------------------------------
declare
    v_options   record;
    v_columns   record;
    v_table     record;
    v_fields    text[];
    v_keys      text[];
    v_old       text[];
    v_new       text[];
    v_used      boolean[];
    v_type      text;
    v_data      text;
    v_extra2    text;
begin
    select * into v_options from pgq._trigger_options(i_args);
    select n.nspname, c.relname into v_table
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = i_relid;
    if v_options.is_deny then
        raise exception using
            errcode = 'restrict_violation',
            message = format('Table ''%s.%s'' to queue ''%s'': change not allowed (%s)',
                             v_table.nspname, v_table.relname, v_options.queue_name, i_op);
    elsif i_op <> 'TRUNCATE' and i_level <> 'ROW' then
        raise exception using
            errcode = 'trigger_protocol_violated',
            message = 'pgq Ins/Upd/Del trigger must be fired FOR EACH ROW';
    elsif v_options.is_skip and i_when = 'AFTER' then
        raise exception using
            errcode = 'trigger_protocol_violated',
            message = 'SKIP does not work in AFTER trigger.';
    end if;
    select * into v_columns from pgq._trigger_columns(i_relid);
    v_keys := coalesce(v_options.key_columns, v_columns.key_columns, '{}');

    if i_op = 'TRUNCATE' then
        v_type := case i_format when 'json' then pgq._event_json_type(i_op, v_table.nspname, v_table.relname, v_keys)
                                else 'R' end;
        perform pgq.insert_event_raw(v_options.queue_name, null::bigint, now(), null::integer, null::integer, v_type,
            case i_format when 'json' then '{}' else '' end, format('%s.%s', v_table.nspname, v_table.relname),
            null::text, null::text, null::text);
        return not v_options.is_skip;
    elsif v_keys = '{}' and i_op <> 'INSERT' then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'Update/Delete on table without pkey',
            detail = format('Table: %s', i_relid::regclass),
            hint = 'Add a primary key, or name the key columns in the trigger''s arguments: pkey=COL,...';
    end if;

    v_old := pgq._row_values(i_old);
    v_new := pgq._row_values(i_new);
    if not pgq._is_wanted(v_options.condition, i_computed[7], v_columns.names, coalesce(v_new, v_old)) then
        return not v_options.is_skip;
    end if;
    select array_agg(n <> all (v_options.ignored) and n !~ '^_pgq_ev_(type|data|extra[1-4])$' order by nr) into v_used
    from unnest(v_columns.names) with ordinality as f (n, nr);
    if i_op = 'UPDATE' and pgq._changes_ignored_only(v_used, v_columns.types, v_old, v_new) then
        return not v_options.is_skip;
    end if;

    if i_format = 'sql' then
        v_type := left(i_op, 1);
        v_data := pgq._event_sql(i_op, v_columns.names, v_columns.types, v_columns.is_generated, v_used, v_keys,
                                 v_old, v_new, false);
    else
        if i_op = 'UPDATE' then
            perform pgq._check_key_stays(v_columns.names, v_columns.types, v_keys, v_old, v_new);
        end if;
        if i_format = 'urlenc' then
            v_type := format('%s:%s', left(i_op, 1), array_to_string(v_keys, ','));
            v_data := pgq._event_urlenc(v_columns.names, v_used, coalesce(v_new, v_old));
        else
            v_type := pgq._event_json_type(i_op, v_table.nspname, v_table.relname, v_keys);
            v_data := pgq._event_json(v_columns.names, v_columns.types, v_used, coalesce(v_new, v_old));
        end if;
    end if;
    if v_options.is_backup and i_op = 'UPDATE' then
        v_extra2 := case i_format when 'json' then pgq._event_json(v_columns.names, v_columns.types, v_used, v_old)
                                  else pgq._event_urlenc(v_columns.names, v_used, v_old) end;
    end if;

    v_fields := pgq._set_fields(
        array[v_type, v_data, format('%s.%s', v_table.nspname, v_table.relname), v_extra2, null, null],
        v_options.fields, i_computed, v_columns.names, coalesce(v_new, v_old));
    perform pgq.insert_event_raw(v_options.queue_name, null::bigint, now(), null::integer, null::integer,
                                 v_fields[1], v_fields[2], v_fields[3], v_fields[4], v_fields[5], v_fields[6]);
    return not v_options.is_skip;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
