create or replace function pgq.force_tick(i_queue_name text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.force_tick(1)
--     Has the next call of the ticker make a tick, whatever the queue's settings: moves the event sequence by more than
--     queue_ticker_max_count, and notifies a ticker that listens on channel rlondiste_force_tick. Makes no tick itself: the
--     caller waits for a tick that sees the caller's transaction, which only a tick after its commit does.
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     id of the last tick there is now, null when there is no such queue
-- Writes:
--     advances the event sequence by 2 * queue_ticker_max_count + 1. By nextval() and not by setval(): between reading
--     a sequence and setting it, other sessions may have taken higher values, which would then be given out twice
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_tick_id   bigint;
begin
    select q.* into v_queue from pgq.queue q where q.queue_name = i_queue_name;
    if not found then
        return null;
    end if;
    if not v_queue.queue_external_ticker and not v_queue.queue_ticker_paused then
        perform nextval(v_queue.queue_event_seq::regclass)
        from generate_series(1, 2 * v_queue.queue_ticker_max_count::bigint + 1);
        perform pg_notify('rlondiste_force_tick', i_queue_name);
    end if;
    select t.tick_id into v_tick_id
    from pgq.tick t
    where t.tick_queue = v_queue.queue_id
    order by t.tick_id desc
    limit 1;
    return v_tick_id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
