create or replace function pgq.unregister_consumer(x_queue_name text, x_consumer_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.unregister_consumer(2)
--     Ends a consumer's registration on a queue. Its retried and failed events go with it.
-- Parameters:
--     x_queue_name    - name of the queue
--     x_consumer_name - name of the consumer
-- Returns:
--     1
-- Writes:
--     pgq.subscription, pgq.retry_queue, pgq.failed_queue
-- ----------------------------------------------------------------------
declare
    v_sub_id    integer;
begin
    select s.sub_id into v_sub_id
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
    delete from pgq.retry_queue where ev_owner = v_sub_id;
    delete from pgq.failed_queue where ev_owner = v_sub_id;
    delete from pgq.subscription where sub_id = v_sub_id;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
