create or replace function pgq.register_consumer(x_queue_name text, x_consumer_id text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.register_consumer(2)
--     Registers a consumer on a queue. The consumer gets the events after the last tick.
-- Parameters:
--     x_queue_name  - name of the queue
--     x_consumer_id - name of the consumer
-- Returns:
--     1 - registered
--     0 - it was registered already; its position is not changed
-- Calls:
--     pgq.register_consumer_at(3)
-- ----------------------------------------------------------------------
begin
    return pgq.register_consumer_at(x_queue_name, x_consumer_id, null::bigint);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq.register_consumer(x_queue_name text, x_consumer_name text, x_tick_pos bigint)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.register_consumer(3)
--     Registers a consumer at a given tick, or moves a registered consumer to it. As in PgQ 2.1 a consumer is not moved while
--     it has an active batch.
-- Parameters:
--     x_queue_name    - name of the queue
--     x_consumer_name - name of the consumer
--     x_tick_pos      - the tick, or null for the last one
-- Returns:
--     1 - registered
--     0 - it was registered already, and was moved if x_tick_pos is not null
-- Calls:
--     pgq.register_consumer_at(3)
-- ----------------------------------------------------------------------
begin
    perform 1
    from pgq.queue q
        join pgq.subscription s on s.sub_queue = q.queue_id
        join pgq.consumer c on c.co_id = s.sub_consumer
    where q.queue_name = x_queue_name
      and c.co_name = x_consumer_name
      and s.sub_batch is not null;
    if found and x_tick_pos is not null then
        raise exception using
            errcode = 'object_in_use',
            message = 'reposition while active not allowed',
            detail = format('Queue: %s, consumer: %s', x_queue_name, x_consumer_name),
            hint = 'Finish the batch first, or use pgq.register_consumer_at(), which closes it.';
    end if;
    return pgq.register_consumer_at(x_queue_name, x_consumer_name, x_tick_pos);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
