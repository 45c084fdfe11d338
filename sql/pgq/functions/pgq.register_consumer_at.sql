create or replace function pgq.register_consumer_at(x_queue_name text, x_consumer_name text, x_tick_pos bigint)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.register_consumer_at(3)
--     Registers a consumer on a queue, or moves a registered consumer to another tick. The move closes an active batch: its
--     reader's next call, such as pgq.finish_batch(1), finds no such batch.
-- Parameters:
--     x_queue_name    - name of the queue
--     x_consumer_name - name of the consumer
--     x_tick_pos      - the first batch begins after this tick; null: after the last one there is, and a registered
--                       consumer stays where it is
-- Returns:
--     1 - registered
--     0 - it was registered already
-- Calls:
--     pgq._check_name(2)
-- Writes:
--     pgq.consumer, pgq.subscription
-- Locks:
--     the queue's row for share until the end of the transaction: rotation, which could remove the tick and its events
--     before the consumer is registered, does not wait for the lock but is put off
-- ----------------------------------------------------------------------
declare
    v_queue_id      integer;
    v_tick_id       bigint;
    v_consumer_id   integer;
    v_registered    boolean;
begin
    select q.queue_id into v_queue_id from pgq.queue q where q.queue_name = x_queue_name for share;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'Event queue not created yet',
            detail = format('Queue: %s', coalesce(x_queue_name, 'null')),
            hint = 'Create it with pgq.create_queue().';
    end if;
    select t.tick_id into v_tick_id
    from pgq.tick t
    where t.tick_queue = v_queue_id
      and (x_tick_pos is null or t.tick_id = x_tick_pos)
    order by t.tick_id desc
    limit 1;
    if not found and x_tick_pos is not null then
        raise exception using
            errcode = 'undefined_object',
            message = format('cannot reposition, tick not found: %s', x_tick_pos),
            detail = format('Queue: %s, consumer: %s', x_queue_name, x_consumer_name),
            hint = 'Ticks go when rotation takes their events.';
    elsif not found then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'No ticks for this queue.  Please run ticker on database.',
            detail = format('Queue: %s', x_queue_name);
    end if;

    select c.co_id into v_consumer_id from pgq.consumer c where c.co_name = x_consumer_name;
    if not found then
        perform pgq._check_name('consumer', x_consumer_name);
        insert into pgq.consumer (co_name) values (x_consumer_name) on conflict (co_name) do nothing;
        select c.co_id into v_consumer_id from pgq.consumer c where c.co_name = x_consumer_name;
    end if;

    insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick)
    values (v_queue_id, v_consumer_id, v_tick_id)
    on conflict (sub_queue, sub_consumer) do nothing;
    v_registered := not found;
    if v_registered and x_tick_pos is not null then
        update pgq.subscription
        set sub_last_tick = v_tick_id,
            sub_batch = null,
            sub_next_tick = null,
            sub_active = now()
        where sub_queue = v_queue_id
          and sub_consumer = v_consumer_id;
    end if;
    return 1 - v_registered::integer;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
