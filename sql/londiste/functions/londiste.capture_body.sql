create or replace function londiste.capture_body(
    i_capture londiste.capture, i_shape londiste.capture_shape, i_plan text, i_mark text,
    i_operation text, i_level text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_body(6)
--     Returns the PL/pgSQL statements of a capture function for one operation: a branch for each event table, and behind the
--     branches the generic way. The conditions of the branches are calls of londiste.capture_ready, which the server computes
--     when it plans them: the right condition becomes the constant true. Before them come, for the updates of a row, branches
--     with the short way (londiste.capture_fast).
--
--     The function writes nothing when session_replication_role is local: such a session writes without replication, as with
--     PgQ's C triggers. tgenabled cannot express that, since local fires the same triggers as origin. londiste.capture_ready looks
--     at it for the branches. What settings have to be (londiste.capture_pinning) is part of the branches' conditions: a statement
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
    v_fast record;
    v_ready text;
    v_local constant text := 'pg_catalog.current_setting(''session_replication_role'')';
    -- A placeholder for the event table's number that cannot occur elsewhere. The branches differ only in that number, so one branch
    -- is made, which is slow, and the number is replaced.
    v_mark text := md5(random()::text || clock_timestamp());
    v_table text;
    -- A variable takes no expression. What the trigger function returns has no meaning.
    v_done text := case when i_level = 'statement' then 'return v_none;' when i_operation = 'i' then 'return new;' else 'return old;' end;
    v_branch text;
    v_branches text;
begin
    select q.queue_id, q.queue_ntables, q.queue_data_pfx, c.relations into v_queue
    from pgq.queue q
    cross join lateral londiste.capture_queue(q.queue_id) c
    where q.queue_name = i_capture.queue_name;
    select * into v_pinning from londiste.capture_pinning(i_shape.all_columns || i_shape.key_columns);

    -- Literals have the types of the arguments. The fewer words, the sooner a session has read the function.
    v_ready := format('(londiste.capture_ready(%s, %L, %L, %L, %L, %s, %s, %L, %L) or v_table operator(pg_catalog.=) %s)%s',
        v_mark, i_shape.table_oid, i_shape.relation, v_queue.relations[1]::oid, v_queue.relations::oid[], v_queue.queue_id,
        coalesce(quote_literal(i_capture.key_columns), 'null'), i_plan, i_mark, v_mark,
        ' and ' || v_pinning.is_pinned);

    v_table := v_queue.queue_data_pfx || '_' || v_mark;
    v_branch := format(E'    elsif %s then\n%s%s\n', v_ready, londiste.capture_branch(i_capture, v_table, i_shape, i_operation, i_level),
                       case when v_pinning.pin is null then v_done
                            else format(E'if v_settings is null then\n%s\nend if;\nexit;', v_done) end);
    v_branches := londiste.capture_repeat(v_branch, v_mark, v_queue.queue_ntables);
    if i_operation = 'u' and i_level = 'row' then
        select * into v_fast from londiste.capture_fast(i_capture, i_shape, 'old', 'new');
        if v_fast.condition is not null then
            v_branches := londiste.capture_repeat(
                format(E'    elsif %s and %s then\n%s;\nreturn old;\n', v_ready, v_fast.condition,
                       londiste.capture_insert(v_table, format('values (%L, %s%s)', 'U', v_fast.data,
                                                               londiste.capture_constants(i_capture.table_name)))),
                v_mark, v_queue.queue_ntables) || v_branches;
        end if;
    end if;

    return format(
E'loop
    if %s
    elsif %s operator(pg_catalog.=) %L then
        return null;
%s    elsif londiste.capture_ready(%L, %L, array[%s]::pg_catalog.regclass[], %s, %s, %L) operator(pg_catalog.=) -2 and v_table is null then
        v_table := %s;
        continue;
    end if;
    v_before := londiste.capture_pin(null);
    execute londiste.capture_statement(%L, %L, tg_relid, %L, %L)%s;
    perform londiste.capture_pin(v_before);
    exit;
end loop;
%sreturn null;
',
        substr(v_branches, 11), v_local, 'local',
        case when v_pinning.pin is not null
             then format(E'    elsif v_settings is null and not (%s) then\n%s        continue;\n', v_pinning.is_pinned, v_pinning.pin) end,
        i_shape.table_oid, i_shape.relation,
        (select string_agg(quote_literal(r.oid::oid), ', ' order by r.nr) from unnest(v_queue.relations) with ordinality r(oid, nr)),
        v_queue.queue_id, coalesce(quote_literal(i_capture.key_columns), 'null'), i_plan,
        londiste.capture_queue_look(v_queue.queue_id),
        i_capture.queue_name, i_capture.table_name, i_operation,
        case i_level when 'row' then 'dynamic' else i_level end,
        case when i_level = 'statement' then ''
             when i_operation = 'i' then ' using new'
             when i_operation = 'd' then ' using old'
             else ' using old, new'
        end,
        v_pinning.unpin);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
