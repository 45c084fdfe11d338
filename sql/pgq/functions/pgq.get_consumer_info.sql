create or replace function pgq.get_consumer_info(
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_consumer_info(0)
--     Returns the positions of all consumers of all queues.
-- Returns:
--     as pgq.get_consumer_info(2)
-- ----------------------------------------------------------------------
begin
    return query
    select f.* from pgq.get_consumer_info(null::text, null::text) f;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq.get_consumer_info(
    in i_queue_name text,
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_consumer_info(1)
--     Returns the positions of the consumers of a queue.
-- Parameters:
--     i_queue_name - name of the queue, or null for all
-- Returns:
--     as pgq.get_consumer_info(2)
-- ----------------------------------------------------------------------
begin
    return query
    select f.* from pgq.get_consumer_info(i_queue_name, null::text) f;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq.get_consumer_info(
    in i_queue_name text, in i_consumer_name text,
    out queue_name text, out consumer_name text, out lag interval, out last_seen interval,
    out last_tick bigint, out current_batch bigint, out next_tick bigint, out pending_events bigint)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_consumer_info(2)
--     Returns the position of a consumer of a queue.
-- Parameters:
--     i_queue_name    - name of the queue, or null for all
--     i_consumer_name - name of the consumer, or null for all
-- Returns:
--     queue_name, consumer_name - names of the queue and of the consumer
--     lag            - age of the tick at the end of the last finished batch
--     last_seen      - time since the consumer asked for or finished a batch
--     last_tick      - id of the tick at the end of the last finished batch
--     current_batch  - id of the active batch, or null
--     next_tick      - id of the tick at the end of the active batch, or null
--     pending_events - number of events after last_tick, by the event sequence
-- ----------------------------------------------------------------------
begin
    return query
    select q.queue_name, c.co_name, now() - t.tick_time, now() - s.sub_active,
           s.sub_last_tick, s.sub_batch, s.sub_next_tick, pgq._event_seq(q.queue_event_seq) - t.tick_event_seq
    from pgq.queue q
        join pgq.subscription s on s.sub_queue = q.queue_id
        join pgq.consumer c on c.co_id = s.sub_consumer
        left join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
    where (i_queue_name is null or q.queue_name = i_queue_name)
      and (i_consumer_name is null or c.co_name = i_consumer_name)
    order by 1, 2;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
