create or replace function pgq.next_batch_custom(
    in i_queue_name text, in i_consumer_name text,
    in i_min_lag interval, in i_min_count integer, in i_min_interval interval,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
as $$
-- ----------------------------------------------------------------------
-- Function: pgq.next_batch_custom(5)
--     Makes the next batch of a consumer active, with a size that the consumer asks for: one batch may span many ticks.
--     The sequence values are a hint at how big the batch may be. A batch may have no events at all.
-- Parameters:
--     i_queue_name    - name of the queue
--     i_consumer_name - name of the consumer
--     i_min_lag       - smallest age of the tick at the end; null: no such bound
--     i_min_count     - smallest number of events, about; null: one tick
--     i_min_interval  - smallest time from the first tick to the last; null: one tick
-- Returns:
--     the batch's id and ticks; batch_id is null when there is no such batch yet. While a batch is active, that batch,
--     whatever the other arguments say
-- Calls:
--     pgq.find_tick_helper(6)
-- Writes:
--     pgq.subscription, only when it makes a batch
-- Locks:
--     the subscription's row until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_sub       record;
    v_prev      record;
    v_cur       record;
begin
    select s.sub_queue, s.sub_consumer, s.sub_last_tick, s.sub_next_tick, s.sub_batch into v_sub
    from pgq.queue q
        join pgq.subscription s on s.sub_queue = q.queue_id
        join pgq.consumer c on c.co_id = s.sub_consumer
    where q.queue_name = i_queue_name
      and c.co_name = i_consumer_name
    for no key update of s;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = format('Not subscriber to queue: %s/%s', i_queue_name, i_consumer_name),
            hint = 'Register the consumer with pgq.register_consumer().';
    end if;

    select t.tick_id, t.tick_time, t.tick_event_seq into v_prev
    from pgq.tick t
    where t.tick_queue = v_sub.sub_queue
      and t.tick_id = v_sub.sub_last_tick;
    if not found then
        raise exception using
            errcode = 'data_corrupted',
            message = format('PgQ corruption: consumer %s on queue %s does not see tick %s',
                             i_consumer_name, i_queue_name, coalesce(v_sub.sub_last_tick::text, 'null')),
            hint = 'Move it to a tick that exists with pgq.register_consumer_at(), and bring its data up to that tick.';
    end if;

    if v_sub.sub_batch is null then
        select f.next_tick_id as tick_id, f.next_tick_time as tick_time, f.next_tick_seq as tick_event_seq into v_cur
        from pgq._find_next_tick(v_sub.sub_queue, v_prev.tick_id, v_prev.tick_time, v_prev.tick_event_seq,
                                 i_min_lag, i_min_count, i_min_interval) f;
        if v_cur.tick_id is null then
            return;
        end if;
        update pgq.subscription
        set sub_batch = nextval('pgq.batch_id_seq'::regclass),
            sub_next_tick = v_cur.tick_id,
            sub_active = now()
        where sub_queue = v_sub.sub_queue
          and sub_consumer = v_sub.sub_consumer
        returning sub_batch into batch_id;
    else
        batch_id := v_sub.sub_batch;
        select t.tick_id, t.tick_time, t.tick_event_seq into v_cur
        from pgq.tick t
        where t.tick_queue = v_sub.sub_queue
          and t.tick_id = v_sub.sub_next_tick;
    end if;

    prev_tick_id := v_prev.tick_id;
    prev_tick_time := v_prev.tick_time;
    prev_tick_event_seq := v_prev.tick_event_seq;
    cur_tick_id := v_cur.tick_id;
    cur_tick_time := v_cur.tick_time;
    cur_tick_event_seq := v_cur.tick_event_seq;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
