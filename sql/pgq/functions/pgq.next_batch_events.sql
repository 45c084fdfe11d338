create or replace function pgq.next_batch_events(
    in i_queue_name text, in i_consumer_name text, in i_finished bigint, in i_least_count bigint, in i_most_count bigint,
    in i_max_events integer, in i_max_size integer, in i_waits boolean,
    out batch_id bigint, out prev_tick_id bigint, out cur_tick_id bigint,
    out prev_tick_time timestamptz, out cur_tick_time timestamptz, out has_all_events boolean,
    out ev_id bigint, out ev_txid bigint, out ev_type text, out ev_data text, out ev_extra1 text)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.next_batch_events(8)
--     Finishes a batch, makes the next one active, and reads its events if they are few: all that a consumer asks of the
--     queue between two small batches, in one call. Runs with the rights of its caller, as pgq.get_batch_events(1).
-- Parameters:
--     i_queue_name    - name of the queue
--     i_consumer_name - name of the consumer
--     i_finished      - batch to finish first; null: none
--     i_least_count   - number of waiting events from which on ticks are joined into one batch; null: never
--     i_most_count    - about the most events of a joined batch
--     i_max_events    - most events to read
--     i_max_size      - most bytes of the texts of the events to read
--     i_waits         - when there is no next batch, tell the ticker that the consumer waits for events
-- Returns:
--     nothing when there is no next batch. Otherwise the events in order of ev_id, whose other columns are null, and then one
--     row with the batch, whose event columns are null. When has_all_events is false there are more events, or bigger ones:
--     the rows before are to be ignored, and the events are read as pgq.batch_event_sql(1) says
-- Calls:
--     pgq.finish_batch(1), pgq.next_batch_custom(5), pgq.batch_event_sql(1)
-- Locks:
--     the subscription's row until the end of the transaction
-- ----------------------------------------------------------------------
declare
    -- More numbers of the event sequence than a small batch has, also when pgq.force_tick(1) has moved it on.
    c_many      constant bigint := 10000;
    v_count     integer;
    v_batch     record;
    v_event     record;
    v_size      bigint := 0;
begin
    if i_finished is not null then
        perform pgq.finish_batch(i_finished);
    end if;
    if i_least_count is not null then
        -- next_batch_custom takes a tick after at least so many events; without a number it takes the next tick.
        select least(l.tick_event_seq - p.tick_event_seq, i_most_count)::integer into v_count
        from pgq.queue q
            join pgq.consumer c on c.co_name = i_consumer_name
            join pgq.subscription s on s.sub_queue = q.queue_id and s.sub_consumer = c.co_id
            join pgq.tick p on p.tick_queue = q.queue_id and p.tick_id = s.sub_last_tick
            cross join lateral (
                select t.tick_event_seq
                from pgq.tick t
                where t.tick_queue = q.queue_id
                order by t.tick_id desc
                limit 1
            ) l
        where q.queue_name = i_queue_name
          and l.tick_event_seq - p.tick_event_seq >= i_least_count;
    end if;
    select f.batch_id, f.prev_tick_id, f.cur_tick_id, f.prev_tick_time, f.cur_tick_time,
           f.cur_tick_event_seq - f.prev_tick_event_seq as events
    into v_batch
    from pgq.next_batch_custom(i_queue_name, i_consumer_name, null::interval, v_count, null::interval) f;
    if v_batch.batch_id is null then
        if i_waits then
            perform pg_notify('rlondiste_wait', i_queue_name);
        end if;
        return;
    end if;

    -- The sequence spares the query of a big batch. It counts also what was rolled back and what pgq.force_tick(1) leaves
    -- out, and not the events of a transaction that was open at the tick before.
    has_all_events := coalesce(v_batch.events <= i_max_events + c_many, true);
    if has_all_events then
        v_count := 0;
        for v_event in
            execute pgq.batch_event_sql(v_batch.batch_id) || format(' limit %s', i_max_events + 1)
        loop
            v_count := v_count + 1;
            v_size := v_size + coalesce(octet_length(v_event.ev_type), 0) + coalesce(octet_length(v_event.ev_data), 0)
                             + coalesce(octet_length(v_event.ev_extra1), 0);
            has_all_events := v_count <= i_max_events and v_size <= i_max_size;
            exit when not has_all_events;
            ev_id := v_event.ev_id;
            ev_txid := v_event.ev_txid;
            ev_type := v_event.ev_type;
            ev_data := v_event.ev_data;
            ev_extra1 := v_event.ev_extra1;
            return next;
        end loop;
    end if;
    select v_batch.batch_id, v_batch.prev_tick_id, v_batch.cur_tick_id, v_batch.prev_tick_time, v_batch.cur_tick_time
    into batch_id, prev_tick_id, cur_tick_id, prev_tick_time, cur_tick_time;
    ev_id := null;
    ev_txid := null;
    ev_type := null;
    ev_data := null;
    ev_extra1 := null;
    return next;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
