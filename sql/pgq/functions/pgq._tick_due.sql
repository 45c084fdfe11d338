create or replace function pgq._tick_due(i_queue_id integer, i_event_seq bigint)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._tick_due(2)
--     Tells whether a queue needs a tick now.
--
--     With new events: when there are queue_ticker_max_count new events; when queue_ticker_max_lag has passed since the last
--     tick; and when the last tick had queue_ticker_max_count events, so that the rest of a burst does not wait (a burst gets
--     at most twice as many ticks by that).
--
--     Without new events, as in PgQ 3: at once while the queue has only one tick; else when twice the pause between the last
--     two ticks has passed, but not before half of queue_ticker_max_lag and not later than queue_ticker_idle_period.
--
--     There are new events when the event sequence has moved. When it has not moved for queue_ticker_max_lag, the event tables
--     are searched: an event whose transaction was open at the last tick does not move the sequence when it commits.
--
--     When the last tick lies in the future, because the clock was set back, a tick is needed at once.
-- Parameters:
--     i_queue_id  - the queue
--     i_event_seq - position of the queue's event sequence
-- Returns:
--     whether a tick is needed
-- Calls:
--     pgq._has_unticked_events(2)
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_last      record;
    v_prev      record;
    v_age       interval;
    v_now_xmax  bigint;
begin
    select q.* into v_queue from pgq.queue q where q.queue_id = i_queue_id;
    select t.* into v_last from pgq.tick t where t.tick_queue = i_queue_id order by t.tick_id desc limit 1;
    if not found then
        return true;
    end if;
    -- After the tick was read: the counter of an earlier moment may be behind a tick that another ticker has made since.
    v_now_xmax := txid_snapshot_xmax(txid_current_snapshot());
    if txid_snapshot_xmax(v_last.tick_snapshot) > v_now_xmax then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('queue %s: the last tick is ahead of this server''s transaction counter',
                             v_queue.queue_name),
            detail = format('Tick %s is at transaction %s, the server is at %s: the database was restored into another'
                            ' cluster. New events would look older than the tick and never be delivered.',
                            v_last.tick_id, txid_snapshot_xmax(v_last.tick_snapshot), v_now_xmax),
            hint = 'Run "pgqadm rebase QUEUE", or select pgq.rebase_queue(QUEUE).';
    end if;

    select t.tick_time, t.tick_event_seq into v_prev
    from pgq.tick t
    where t.tick_queue = i_queue_id and t.tick_id < v_last.tick_id
    order by t.tick_id desc
    limit 1;
    v_age := now() - v_last.tick_time;
    if v_last.tick_time > clock_timestamp() then
        -- The clock was set back; pgq._insert_tick says so.
        return true;
    elsif i_event_seq <> v_last.tick_event_seq then
        return i_event_seq - v_last.tick_event_seq >= v_queue.queue_ticker_max_count
            or v_age >= v_queue.queue_ticker_max_lag
            or coalesce(v_last.tick_event_seq - v_prev.tick_event_seq >= v_queue.queue_ticker_max_count, false);
    elsif v_prev.tick_time is null then
        return true;
    elsif v_age < v_queue.queue_ticker_max_lag / 2 then
        return false;
    end if;
    return v_age >= least(v_queue.queue_ticker_idle_period, 2 * (v_last.tick_time - v_prev.tick_time))
        or v_age >= v_queue.queue_ticker_max_lag and pgq._has_unticked_events(i_queue_id, v_last.tick_snapshot);
end;
$$ language plpgsql;
