create or replace function pgq.failed_event_list(x_queue_name text, x_consumer_name text)
returns setof pgq.failed_queue as $$
-- ----------------------------------------------------------------------
-- Function: pgq.failed_event_list(2)
--     Lists a consumer's failed events.
-- Parameters:
--     x_queue_name    - name of the queue
--     x_consumer_name - name of the consumer
-- Returns:
--     the events, in order of ev_id
-- ----------------------------------------------------------------------
begin
    return query
    select f.* from pgq.failed_event_list(x_queue_name, x_consumer_name, null::integer, null::integer) f;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq.failed_event_list(
    x_queue_name text, x_consumer_name text, x_count integer, x_offset integer)
returns setof pgq.failed_queue as $$
-- ----------------------------------------------------------------------
-- Function: pgq.failed_event_list(4)
--     Lists a part of a consumer's failed events.
-- Parameters:
--     x_queue_name    - name of the queue
--     x_consumer_name - name of the consumer
--     x_count         - largest number of events; null: all
--     x_offset        - number of events to leave out before them
-- Returns:
--     the events, in order of ev_id
-- ----------------------------------------------------------------------
begin
    return query
    select f.*
    from pgq.queue q
        join pgq.subscription s on s.sub_queue = q.queue_id
        join pgq.consumer c on c.co_id = s.sub_consumer
        join pgq.failed_queue f on f.ev_owner = s.sub_id
    where q.queue_name = x_queue_name
      and c.co_name = x_consumer_name
    order by f.ev_id
    limit x_count
    offset x_offset;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
