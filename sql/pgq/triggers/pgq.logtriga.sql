create or replace function pgq.logtriga()
returns trigger as $$
-- ----------------------------------------------------------------------
-- Function: pgq.logtriga(0)
--     Puts each change of a table into a queue, in the format of PgQ 2.1. ev_type is I, U, D or R (truncate); ev_data
--     the part after "insert into T ", "update T set " or "delete from T where ", of an update only the changed
--     columns; ev_extra1 schema.table.
-- Arguments:
--     1. queue name
--     2. a letter for each column in order: k = key, v = value, anything else and columns beyond = left out; an
--        update of only these makes no event
--     3. name of the table, as a note to the reader: events have the table's name of the moment
-- Calls:
--     pgq._row_values(1), pgq._trigger_columns(2), pgq._event_sql(9), pgq.insert_event(7), which
--     users may have replaced
-- Silent, whatever the arguments say, in sessions whose session_replication_role is local: the way to write without replication.
-- Rights:
--     runs as the owner of schema pgq: a writer needs no right there. The settings that shape the text of values
--     are pinned, so that events do not depend on the writer's session
-- ----------------------------------------------------------------------
declare
    v_columns   record;
    v_letters   text[];
    v_used      boolean[];
    v_keys      text[];
    v_old       text[];
    v_new       text[];
    v_data      text := '';
begin
    if current_setting('session_replication_role') = 'local' then
        return null;
    elsif tg_nargs not in (2, 3) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'pgq.logtriga must be used with 2 or 3 args';
    elsif tg_when <> 'AFTER' then
        raise exception using
            errcode = 'trigger_protocol_violated',
            message = 'pgq.logtriga must be fired AFTER';
    elsif position('k' in tg_argv[1]) = 0 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'need at least one key column',
            detail = format('Columns of %I.%I: %s', tg_table_schema, tg_table_name, tg_argv[1]);
    end if;

    if tg_op <> 'TRUNCATE' then
        if tg_level <> 'ROW' then
            raise exception using
                errcode = 'trigger_protocol_violated',
                message = 'pgq.logtriga must be fired FOR EACH ROW';
        end if;
        select * into v_columns from pgq._trigger_columns(tg_relid, false);
        v_letters := string_to_array(tg_argv[1], null);
        if array_position(v_letters[cardinality(v_columns.names) + 1:], 'k') is not null then
            raise exception using
                errcode = 'invalid_parameter_value',
                message = 'key column does not exist',
                detail = format('Columns of %I.%I: %s', tg_table_schema, tg_table_name, tg_argv[1]);
        end if;
        select array_agg(coalesce(v_letters[nr] in ('k', 'v'), false) order by nr),
               array_agg(n order by nr) filter (where v_letters[nr] = 'k')
        into v_used, v_keys
        from unnest(v_columns.names) with ordinality as f (n, nr);
        if tg_op <> 'INSERT' then
            v_old := pgq._row_values(old::text);
        end if;
        if tg_op <> 'DELETE' then
            v_new := pgq._row_values(new::text);
        end if;
        v_data := pgq._event_sql(tg_op, v_columns.names, v_columns.types, v_columns.is_generated, v_used, v_keys,
                                 v_old, v_new, true);
        if v_data is null then
            return null;
        end if;
    end if;
    perform pgq.insert_event(tg_argv[0], case tg_op when 'TRUNCATE' then 'R' else left(tg_op, 1) end, v_data,
                             format('%s.%s', tg_table_schema, tg_table_name), null::text, null::text, null::text);
    return null;
end;
$$ language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    set datestyle = 'ISO, YMD'
    set intervalstyle = 'postgres'
    set timezone = 'UTC'
    set extra_float_digits = 3
    set bytea_output = 'hex'
    set lc_monetary = 'C';
