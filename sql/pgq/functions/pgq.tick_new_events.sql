create or replace function pgq.tick_new_events(i_queue_name text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.tick_new_events(1)
--     Makes a tick in one queue if events may have come since its last tick, without waiting for queue_ticker_max_lag or
--     queue_ticker_max_count: for a consumer that waits for events. Makes none in a queue that is paused, ticked from outside
--     or gone.
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     the tick's id; null when there is nothing new, or another ticker has the queue locked
-- Calls:
--     pgq._need_read_committed(0), pgq._tick_due(2), pgq._has_new_events(2), pgq._lock_ticks(2), pgq._event_seq(1),
--     pgq._insert_tick(5)
-- Writes:
--     pgq.tick
-- Locks:
--     as pgq._lock_ticks(2), without waiting
-- ----------------------------------------------------------------------
declare
    v_queue     record;
begin
    perform pgq._need_read_committed();
    select q.queue_id, q.queue_event_seq into v_queue
    from pgq.queue q
    where q.queue_name = i_queue_name
      and not q.queue_external_ticker
      and not q.queue_ticker_paused;
    if not found then
        return null;
    end if;
    -- Refuses a queue that was restored into another cluster.
    perform pgq._tick_due(v_queue.queue_id, 0);
    -- As in pgq.ticker(1).
    if not pgq._has_new_events(v_queue.queue_id, pgq._event_seq(v_queue.queue_event_seq))
       or not pgq._lock_ticks(v_queue.queue_id, false)
       or not pgq._has_new_events(v_queue.queue_id, pgq._event_seq(v_queue.queue_event_seq)) then
        return null;
    end if;
    return pgq._insert_tick(v_queue.queue_id, i_queue_name, null::bigint, now(), null::bigint);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
