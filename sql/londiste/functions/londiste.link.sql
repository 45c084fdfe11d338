create or replace function londiste.link(i_source_name text, i_dest_name text, i_tick_id bigint, i_tick_snapshot text, i_tick_time text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.link(5)
--     Creates a queue on this database that repeats a queue which this database subscribes to: same ticks, same tables and
--     sequences. The linked queue has an external ticker, and its tables have no capture triggers: the program that applies the
--     source queue also writes the events and ticks of the linked queue.
-- Parameters:
--     i_source_name   - the subscribed queue
--     i_dest_name     - the queue to create
--     i_tick_id       - tick of the source queue at which the link starts
--     i_tick_snapshot - snapshot of that tick, as text
--     i_tick_time     - time of that tick, as text
-- Returns: a line that says what was done
-- Raises: object_in_use when one of the queues is linked already or the new queue has tables or consumers; undefined_object when no table is
--     subscribed to the source queue
-- Writes: londiste.link, londiste.provider_table, londiste.provider_seq, pgq.queue, pgq.tick
-- Locks: as pgq.create_queue
-- ----------------------------------------------------------------------
declare
    v_dest_id integer;
begin
    if exists (select 1 from londiste.link l where l.source = i_source_name or l.dest = i_dest_name) then
        raise exception using
            errcode = 'object_in_use',
            message = format('queue "%s" or "%s" is already linked', i_source_name, i_dest_name),
            hint = 'See table londiste.link; londiste.link_del(source, dest) takes a link away.';
    end if;
    if not exists (select 1 from londiste.subscriber_table t where t.queue_name = i_source_name) then
        raise exception using
            errcode = 'undefined_object',
            message = format('this database has no table subscribed to queue "%s"', i_source_name);
    end if;
    if exists (select 1 from londiste.provider_table t where t.queue_name = i_dest_name) then
        raise exception using
            errcode = 'object_in_use',
            message = format('queue "%s" already has tables of its own', i_dest_name);
    end if;

    if exists (select 1 from pgq.queue q join pgq.subscription s on s.sub_queue = q.queue_id where q.queue_name = i_dest_name) then
        raise exception using
            errcode = 'object_in_use',
            message = format('queue "%s" has consumers', i_dest_name),
            hint = 'A link takes the ticks of its source from the start on. Name a queue that is new.';
    end if;

    perform pgq.create_queue(i_dest_name);
    update pgq.queue set queue_external_ticker = true where queue_name = i_dest_name returning queue_id into v_dest_id;

    delete from pgq.tick where tick_queue = v_dest_id;
    insert into pgq.tick (tick_queue, tick_id, tick_time, tick_snapshot, tick_event_seq)
    select q.queue_id, i_tick_id, i_tick_time::timestamptz, i_tick_snapshot::txid_snapshot, pgq._event_seq(q.queue_event_seq)
    from pgq.queue q
    where q.queue_id = v_dest_id;

    insert into londiste.provider_table (queue_name, table_name)
    select i_dest_name, t.table_name
    from londiste.subscriber_table t
    where t.queue_name = i_source_name
    order by t.nr;

    insert into londiste.provider_seq (queue_name, seq_name)
    select i_dest_name, s.seq_name
    from londiste.subscriber_seq s
    where s.queue_name = i_source_name
    order by s.nr;

    insert into londiste.link (source, dest) values (i_source_name, i_dest_name);

    return format('queue "%s" now repeats "%s" from tick %s', i_dest_name, i_source_name, i_tick_id);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
