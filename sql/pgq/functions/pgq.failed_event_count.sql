create or replace function pgq.failed_event_count(x_queue_name text, x_consumer_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.failed_event_count(2)
--     Counts a consumer's failed events.
-- Parameters:
--     x_queue_name    - name of the queue
--     x_consumer_name - name of the consumer
-- Returns:
--     the number of events
-- ----------------------------------------------------------------------
declare
    v_count     integer;
begin
    select count(*) into v_count
    from pgq.queue q
        join pgq.subscription s on s.sub_queue = q.queue_id
        join pgq.consumer c on c.co_id = s.sub_consumer
        join pgq.failed_queue f on f.ev_owner = s.sub_id
    where q.queue_name = x_queue_name
      and c.co_name = x_consumer_name;
    return v_count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
