create or replace function pgq.unregister_consumer(x_queue_name text, x_consumer_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.unregister_consumer(2)
--     Ends a consumer's registration on a queue. Its retried and failed events go with it, and so do its subconsumers (rows of
--     pgq.subscription with the same sub_id). Of a subconsumer only its own registration ends.
-- Parameters:
--     x_queue_name    - name of the queue
--     x_consumer_name - name of the consumer
-- Returns:
--     how many registrations ended: 1, or with its subconsumers more
-- Writes:
--     pgq.subscription, pgq.retry_queue, pgq.failed_queue
-- Locks:
--     the subscription's row until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_sub       record;
    v_count     integer;
begin
    select s.* into v_sub
    from pgq.queue q
        join pgq.subscription s on s.sub_queue = q.queue_id
        join pgq.consumer c on c.co_id = s.sub_consumer
    where q.queue_name = x_queue_name
      and c.co_name = x_consumer_name
    for update of s;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'consumer not registered on queue',
            detail = format('Queue: %s, consumer: %s', x_queue_name, x_consumer_name);
    end if;
    -- A subconsumer has both ticks while it has a batch, and none between batches. The consumer itself has a position and no
    -- batch: it hands each one on.
    if (v_sub.sub_last_tick is null) = (v_sub.sub_next_tick is null)
       and exists (select 1
                   from pgq.subscription s
                   where s.sub_id = v_sub.sub_id
                     and s.sub_consumer <> v_sub.sub_consumer) then
        delete from pgq.subscription where sub_queue = v_sub.sub_queue and sub_consumer = v_sub.sub_consumer;
        return 1;
    end if;
    delete from pgq.retry_queue where ev_owner = v_sub.sub_id;
    delete from pgq.failed_queue where ev_owner = v_sub.sub_id;
    delete from pgq.subscription where sub_id = v_sub.sub_id;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
