create or replace function pgq.find_tick_helper(
    in i_queue_id integer, in i_prev_tick_id bigint, in i_prev_tick_time timestamptz, in i_prev_tick_seq bigint,
    in i_min_count bigint, in i_min_interval interval,
    out next_tick_id bigint, out next_tick_time timestamptz, out next_tick_seq bigint)
as $$
-- ----------------------------------------------------------------------
-- Function: pgq.find_tick_helper(6)
--     Finds the tick that ends a batch of a wanted size: the first tick that is far enough from the batch's begin, by events
--     or by time, whichever comes first.
-- Parameters:
--     i_queue_id       - the queue
--     i_prev_tick_id, i_prev_tick_time, i_prev_tick_seq - the tick that the batch begins after
--     i_min_count      - smallest number of events, by the event sequence; null: no such bound
--     i_min_interval   - smallest time between the ticks; null: no such bound. It counts as passed where the clock was set back
-- Returns:
--     the tick, or nulls when there is none yet
-- ----------------------------------------------------------------------
begin
    select t.tick_id, t.tick_time, t.tick_event_seq into next_tick_id, next_tick_time, next_tick_seq
    from pgq.tick t
    where t.tick_queue = i_queue_id
      and t.tick_id > i_prev_tick_id
      and ((i_min_count is null and i_min_interval is null)
           or t.tick_event_seq - i_prev_tick_seq >= i_min_count
           or t.tick_time - i_prev_tick_time >= i_min_interval
           or t.tick_time < i_prev_tick_time and i_min_interval is not null)
    order by t.tick_id
    limit 1;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
