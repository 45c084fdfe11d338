create or replace function pgq.failed_event_delete(x_queue_name text, x_consumer_name text, x_event_id bigint)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.failed_event_delete(3)
--     Deletes a failed event.
-- Parameters:
--     x_queue_name    - name of the queue
--     x_consumer_name - name of the consumer
--     x_event_id      - id of the event
-- Returns:
--     1
-- Writes:
--     pgq.failed_queue
-- ----------------------------------------------------------------------
begin
    delete from pgq.failed_queue f
    using pgq.queue q, pgq.subscription s, pgq.consumer c
    where q.queue_name = x_queue_name
      and c.co_name = x_consumer_name
      and s.sub_queue = q.queue_id
      and s.sub_consumer = c.co_id
      and f.ev_owner = s.sub_id
      and f.ev_id = x_event_id;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'event not found',
            detail = format('Queue: %s, consumer: %s, event: %s', x_queue_name, x_consumer_name, x_event_id),
            hint = 'pgq.failed_event_list() shows the failed events.';
    end if;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
