create or replace function pgq.failed_event_retry(x_queue_name text, x_consumer_name text, x_event_id bigint)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.failed_event_retry(3)
--     Puts a failed event back into its queue with its old id. Only the consumer that has given it up gets it again.
-- Parameters:
--     x_queue_name    - name of the queue
--     x_consumer_name - name of the consumer
--     x_event_id      - id of the event
-- Returns:
--     the event's id
-- Calls:
--     pgq.insert_event_raw(11)
-- Writes:
--     pgq.failed_queue, the current event table of the queue
-- Locks:
--     the row of pgq.failed_queue
-- ----------------------------------------------------------------------
declare
    v_event     record;
begin
    select f.* into v_event
    from pgq.queue q
        join pgq.subscription s on s.sub_queue = q.queue_id
        join pgq.consumer c on c.co_id = s.sub_consumer
        join pgq.failed_queue f on f.ev_owner = s.sub_id
    where q.queue_name = x_queue_name
      and c.co_name = x_consumer_name
      and f.ev_id = x_event_id
    for update of f;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'event not found',
            detail = format('Queue: %s, consumer: %s, event: %s', x_queue_name, x_consumer_name, x_event_id),
            hint = 'pgq.failed_event_list() shows the failed events.';
    end if;
    delete from pgq.failed_queue where ev_owner = v_event.ev_owner and ev_id = v_event.ev_id;
    return pgq.insert_event_raw(x_queue_name, v_event.ev_id, v_event.ev_time, v_event.ev_owner, v_event.ev_retry,
                                v_event.ev_type, v_event.ev_data, v_event.ev_extra1, v_event.ev_extra2,
                                v_event.ev_extra3, v_event.ev_extra4);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
