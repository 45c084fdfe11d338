create or replace function londiste.capture_body(
    i_capture londiste.capture, i_shape londiste.capture_shape, i_plan text, i_mark text,
    i_operation text, i_level text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_body(6)
--     Returns the PL/pgSQL statements of a capture function for one operation: a branch for each event table, behind the branches
--     the generic way, and behind the loop what the branches leave to londiste.capture_long_way. The conditions of the branches are
--     calls of londiste.capture_current, which the server computes when it plans them: the right condition becomes the constant true.
--     No column may stand in these conditions: it may be gone when the function does not fit.
--
--     The function writes nothing when session_replication_role is local: such a session writes without replication, as with
--     PgQ's C triggers. tgenabled cannot express that, since local fires the same triggers as origin. londiste.capture_current
--     looks at it for the branches. What settings have to be (londiste.capture_pinning) is part of the branches' conditions: a statement
--     of its own would cost more.
-- Parameters:
--     i_plan      - md5 of londiste.capture_plan
--     i_mark      - as londiste.capture_look returned it before that
--     i_operation - i, u, d
--     i_level     - statement or row
-- ----------------------------------------------------------------------
declare
    v_queue record;
    v_pinning record;
    v_relations text;
    v_current text;
    v_ready text;
    v_local constant text := 'pg_catalog.current_setting(''session_replication_role'')';
    -- A placeholder for the event table's number that cannot occur elsewhere. The branches differ only in that number, so one branch
    -- is made, which is slow, and the number is replaced.
    v_mark text := md5(random()::text || clock_timestamp());
    v_table text;
    -- A variable takes no expression. What the trigger function returns has no meaning.
    v_return constant text := case when i_level = 'statement' then 'return v_none;' when i_operation = 'i' then 'return new;' else 'return old;' end;
    v_done text;
    -- The variable for the settings before the generic way.
    v_before text;
    v_has_long_way boolean := i_operation = 'u' and i_capture.event_format = 'sql';
    v_branches text;
begin
    select q.queue_id, q.queue_ntables, q.queue_data_pfx, c.relations into v_queue
    from pgq.queue q
    cross join lateral londiste.capture_queue(q.queue_id) c
    where q.queue_name = i_capture.queue_name;
    select * into v_pinning from londiste.capture_pinning(i_shape.all_columns || i_shape.key_columns);
    v_before := case when v_pinning.pin is null then 'v_settings' else 'v_before' end;

    select string_agg(quote_literal(r.oid::oid), ', ' order by r.nr)
    into v_relations
    from unnest(v_queue.relations) with ordinality r(oid, nr);
    -- Literals have the types of the arguments. The fewer words, the sooner a session has read the function.
    v_current := format('(londiste.capture_current(%s, %s, %L, %L, %L, %s) or v_table operator(pg_catalog.=) %s)%s',
        v_mark, v_queue.queue_id, i_mark, i_shape.table_oid, i_shape.relation,
        v_relations, v_mark, ' and ' || v_pinning.is_pinned);
    v_ready := format('londiste.capture_ready(%L, %L, array[%s]::pg_catalog.regclass[], %s, %s, %L)',
        i_shape.table_oid, i_shape.relation, v_relations, v_queue.queue_id, coalesce(quote_literal(i_capture.key_columns), 'null'), i_plan);

    v_table := v_queue.queue_data_pfx || '_' || v_mark;
    v_done := case when v_pinning.pin is null then v_return
                   else format(E'if v_settings is null then\n%s\nend if;\n%s%s', v_return, v_pinning.unpin, v_return) end;
    v_branches := londiste.capture_repeat(
        format(E'    elsif %s then\n%s%s\n', v_current,
               londiste.capture_branch(i_capture, v_table, i_shape, i_operation, i_level, v_done),
               case when v_has_long_way then format(E'v_table := %s;\nexit;', v_mark) else v_done end),
        v_mark, v_queue.queue_ntables);

    return format(
E'loop
    if %s
    elsif %s operator(pg_catalog.=) %L then
        return null;
%s    elsif v_table is null and %s operator(pg_catalog.<>) -1 then
        v_table := case when %s operator(pg_catalog.=) -2 then %s else %s end;
        continue;
    end if;
    %s := londiste.capture_pin(null);
    execute londiste.capture_statement(%L, %L, tg_relid, %L, %L)%s;
    perform londiste.capture_pin(%s);
    %sreturn null;
end loop;
%s%sreturn null;
',
        substr(v_branches, 11), v_local, 'local',
        case when v_pinning.pin is not null
             then format(E'    elsif v_settings is null and not (%s) then\n%s        continue;\n', v_pinning.is_pinned, v_pinning.pin) end,
        v_ready, v_ready, londiste.capture_queue_look(v_queue.queue_id), v_ready,
        v_before, i_capture.queue_name, i_capture.table_name, i_operation,
        case i_level when 'row' then 'dynamic' else i_level end,
        case when i_level = 'statement' then ''
             when i_operation = 'i' then ' using new'
             when i_operation = 'd' then ' using old'
             else ' using old, new'
        end,
        v_before,
        v_pinning.unpin,
        case when v_has_long_way
             then londiste.capture_long_way(i_capture, v_table, v_mark, v_queue.queue_ntables, i_shape, i_level) end,
        v_pinning.unpin);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
