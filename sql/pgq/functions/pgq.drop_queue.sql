create or replace function pgq.drop_queue(x_queue_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.drop_queue(1)
--     Drops a queue that has no consumers.
-- Parameters:
--     x_queue_name - name of the queue
-- Returns:
--     1
-- Calls:
--     pgq.drop_queue(2)
-- ----------------------------------------------------------------------
begin
    return pgq.drop_queue(x_queue_name, false);
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;

create or replace function pgq.drop_queue(x_queue_name text, x_force boolean)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.drop_queue(2)
--     Drops a queue with its events, ticks and tables. Not while triggers write to it, also not with force: each write to
--     their tables would fail.
-- Parameters:
--     x_queue_name - name of the queue
--     x_force      - unregister the consumers that are left, instead of refusing
-- Returns:
--     1
-- Calls:
--     pgq._queue_triggers(1)
-- Writes:
--     pgq.queue, pgq.tick, pgq.subscription, pgq.retry_queue, pgq.failed_queue; drops pgq.event_N, its children and sequences
-- Locks:
--     the queue's row; the event tables exclusively, so it waits for writers that are in the middle of a transaction
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_consumer  text;
    v_tables    record;
begin
    select q.* into v_queue from pgq.queue q where q.queue_name = x_queue_name for update;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'No such event queue',
            detail = format('Queue: %s', coalesce(x_queue_name, 'null'));
    end if;

    select count(*) as number, string_agg(t.remedy, '; ' order by t.nr) filter (where t.nr <= 5) as remedies into v_tables
    from pgq._queue_triggers(x_queue_name) with ordinality as t (table_name, remedy, nr);
    if v_tables.number > 0 then
        raise exception using
            errcode = 'object_in_use',
            message = 'cannot drop queue, tables write to it by triggers',
            detail = format('Queue: %s. Writing to these tables would fail without it.', x_queue_name),
            hint = format('End that first: %s%s.', v_tables.remedies,
                          case when v_tables.number > 5 then format(' and so on, %s in all', v_tables.number) else '' end);
    end if;

    for v_consumer in
        select c.co_name
        from pgq.subscription s
            join pgq.consumer c on c.co_id = s.sub_consumer
        where s.sub_queue = v_queue.queue_id
        order by 1
    loop
        if x_force is not true then
            raise exception using
                errcode = 'object_in_use',
                message = 'cannot drop queue, consumers still attached',
                detail = format('Queue: %s, consumer: %s', x_queue_name, v_consumer),
                hint = 'Unregister its consumers first, or drop it with force.';
        end if;
    end loop;
    delete from pgq.failed_queue f
    using pgq.subscription s
    where s.sub_queue = v_queue.queue_id
      and f.ev_owner = s.sub_id;
    delete from pgq.subscription where sub_queue = v_queue.queue_id;

    for v_nr in 0 .. v_queue.queue_ntables - 1 loop
        perform pgq._run_ddl(format('drop table %s', (v_queue.queue_data_pfx || '_' || v_nr::text)::regclass));
    end loop;
    perform pgq._run_ddl(format('drop table %s', v_queue.queue_data_pfx::regclass));
    perform pgq._run_ddl(format('drop sequence %s', v_queue.queue_event_seq::regclass));
    perform pgq._run_ddl(format('drop sequence %s', v_queue.queue_tick_seq::regclass));

    delete from pgq.retry_queue where ev_queue = v_queue.queue_id;
    delete from pgq.tick where tick_queue = v_queue.queue_id;
    delete from pgq.queue where queue_id = v_queue.queue_id;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
