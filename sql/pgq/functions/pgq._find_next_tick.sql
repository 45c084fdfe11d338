create or replace function pgq._find_next_tick(
    in i_queue_id integer, in i_prev_tick_id bigint, in i_prev_tick_time timestamptz, in i_prev_tick_seq bigint,
    in i_min_lag interval, in i_min_count bigint, in i_min_interval interval,
    out next_tick_id bigint, out next_tick_time timestamptz, out next_tick_seq bigint)
as $$
-- ----------------------------------------------------------------------
-- Function: pgq._find_next_tick(7)
--     Finds the tick that ends a consumer's next batch, as pgq.next_batch_custom() describes it.
-- Parameters:
--     as pgq.find_tick_helper(6), and
--     i_min_lag - smallest age of the tick; null: no such bound
-- Returns:
--     the tick, or nulls when there is none yet
-- ----------------------------------------------------------------------
begin
    select f.next_tick_id, f.next_tick_time, f.next_tick_seq into next_tick_id, next_tick_time, next_tick_seq
    from pgq.find_tick_helper(i_queue_id, i_prev_tick_id, i_prev_tick_time, i_prev_tick_seq,
                              i_min_count, i_min_interval) f;
    -- Ticks are in order of time, so when the first that would do is too young, so are all after it. The age of a tick of the
    -- future, from before the clock was set back, is not known: it counts as old.
    if i_min_lag is not null and now() - next_tick_time < i_min_lag and next_tick_time <= clock_timestamp() then
        next_tick_id := null;
        next_tick_time := null;
        next_tick_seq := null;
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
