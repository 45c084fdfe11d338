create or replace function londiste.capture_body(
    i_capture londiste.capture, i_shape londiste.capture_shape, i_plan text, i_operation text, i_level text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_body(5)
--     Returns the PL/pgSQL statements of a capture function for one operation: a branch for each event table, and behind the
--     branches the generic way. The conditions of the branches are calls of londiste.capture_ready, which the server computes
--     when it plans them: the right condition becomes the constant true.
-- Parameters:
--     i_plan      - md5 of londiste.capture_plan
--     i_operation - i, u, d
--     i_level     - statement or row
-- ----------------------------------------------------------------------
declare
    v_queue record;
    v_ready text;
    -- A placeholder for the event table's name that cannot occur elsewhere. The branches differ only in that name, so one branch
    -- is made, which is slow, and the name is replaced.
    v_mark text := md5(random()::text || clock_timestamp());
    v_branch text;
    v_branches text;
begin
    select q.queue_id, q.queue_ntables, q.queue_data_pfx, c.relations into v_queue
    from pgq.queue q
    cross join lateral londiste.capture_queue(q.queue_id) c
    where q.queue_name = i_capture.queue_name;

    v_ready := format('londiste.capture_ready(%L::pg_catalog.regclass, %L::pg_catalog.regclass, array[%s], %s, %s, %L)',
        i_shape.table_oid, i_shape.relation,
        (select string_agg(format('%L::pg_catalog.regclass', r.oid::oid), ', ' order by r.nr)
         from unnest(v_queue.relations) with ordinality r(oid, nr)),
        v_queue.queue_id,
        coalesce(quote_literal(i_capture.key_columns) || '::pg_catalog.text[]', 'null'),
        i_plan);

    v_branch := londiste.capture_branch(i_capture, v_mark, i_shape, i_operation, i_level);
    select string_agg(format(
E'    %s %s operator(pg_catalog.=) %s or v_table operator(pg_catalog.=) %s then
%s
', case k.nr when 0 then 'if' else 'elsif' end, v_ready, k.nr, k.nr,
            replace(v_branch, v_mark, v_queue.queue_data_pfx || '_' || k.nr)), '' order by k.nr)
    into v_branches
    from generate_series(0, v_queue.queue_ntables - 1) k(nr);

    return format(
E'loop
%s    elsif %s operator(pg_catalog.=) -2 and v_table is null then
        v_table := %s;
        continue;
    end if;
    exit;
end loop;
v_settings := londiste.capture_pin(null);
execute londiste.capture_statement(%L, %L, tg_relid, %L, %L)%s;
perform londiste.capture_pin(v_settings);
return null;
',
        v_branches, v_ready, londiste.capture_queue_look(v_queue.queue_id),
        i_capture.queue_name, i_capture.table_name, i_operation,
        case i_level when 'row' then 'dynamic' else i_level end,
        case when i_level = 'statement' then ''
             when i_operation = 'i' then ' using new'
             when i_operation = 'd' then ' using old'
             else ' using old, new'
        end);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
