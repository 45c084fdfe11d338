create or replace function pgq.ticker()
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.ticker(0)
--     Makes a tick in every queue where one is due, except in queues that are paused or ticked from outside. A queue that
--     cannot be ticked is named in a warning, and the other queues are ticked.
-- Returns:
--     number of queues that got a tick
-- Calls:
--     pgq._need_read_committed(0), pgq._tick_due(2), pgq._lock_ticks(2), pgq._insert_tick(5)
-- Writes:
--     pgq.tick
-- Locks:
--     as pgq._lock_ticks(2), without waiting
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_due       boolean;
    v_message   text;
    v_count     bigint := 0;
begin
    perform pgq._need_read_committed();
    for v_queue in
        select q.queue_id, q.queue_name, q.queue_event_seq
        from pgq.queue q
        where not q.queue_external_ticker
          and not q.queue_ticker_paused
        order by q.queue_name
    loop
        begin
            v_due := pgq._tick_due(v_queue.queue_id, pgq._event_seq(v_queue.queue_event_seq));
        exception
            -- Restored into another cluster; dropped in between.
            when object_not_in_prerequisite_state or undefined_table then
                get stacked diagnostics v_message = message_text;
                raise warning '%', v_message;
                v_due := false;
        end;
        -- As in pgq.ticker(1).
        if v_due
           and pgq._lock_ticks(v_queue.queue_id, false)
           and pgq._tick_due(v_queue.queue_id, pgq._event_seq(v_queue.queue_event_seq)) then
            perform pgq._insert_tick(v_queue.queue_id, v_queue.queue_name, null::bigint, now(), null::bigint);
            v_count := v_count + 1;
        end if;
    end loop;
    return v_count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq.ticker(i_queue_name text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.ticker(1)
--     Makes a tick in one queue if one is due.
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     the tick's id; null when no tick is due, or another ticker has the queue locked
-- Calls:
--     pgq._need_read_committed(0), pgq._tick_due(2), pgq._lock_ticks(2), pgq._insert_tick(5)
-- Writes:
--     pgq.tick
-- Locks:
--     as pgq._lock_ticks(2), without waiting
-- ----------------------------------------------------------------------
declare
    v_queue     record;
begin
    select q.* into v_queue from pgq.queue q where q.queue_name = i_queue_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'no such queue',
            detail = format('Queue: %s', coalesce(i_queue_name, 'null'));
    elsif v_queue.queue_external_ticker then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'This queue has external tick source.',
            detail = format('Queue: %s', i_queue_name);
    elsif v_queue.queue_ticker_paused then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'Ticker has been paused for this queue',
            detail = format('Queue: %s', i_queue_name),
            hint = 'pgq.set_queue_config(QUEUE, ''ticker_paused'', ''false'') lets it go on.';
    end if;

    perform pgq._need_read_committed();
    -- The lock is written to the newest tick's row, so it is taken only when there is a tick to make; another ticker may have
    -- made that tick in the meantime.
    if not pgq._tick_due(v_queue.queue_id, pgq._event_seq(v_queue.queue_event_seq))
       or not pgq._lock_ticks(v_queue.queue_id, false)
       or not pgq._tick_due(v_queue.queue_id, pgq._event_seq(v_queue.queue_event_seq)) then
        return null;
    end if;
    return pgq._insert_tick(v_queue.queue_id, i_queue_name, null::bigint, now(), null::bigint);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq.ticker(x_queue_name text, x_tick_id bigint)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.ticker(2)
--     Inserts a tick with a given id into a queue that is ticked from outside.
-- Parameters:
--     x_queue_name - name of the queue
--     x_tick_id    - id of the tick
-- Returns:
--     the tick's id
-- Calls:
--     pgq.ticker(4)
-- ----------------------------------------------------------------------
begin
    return pgq.ticker(x_queue_name, x_tick_id, now(), null::bigint);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq.ticker(
    i_queue_name text, i_tick_id bigint, i_orig_timestamp timestamptz, i_event_seq bigint)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.ticker(4)
--     Inserts a tick of another queue into a queue that is ticked from outside.
-- Parameters:
--     i_queue_name     - name of the queue
--     i_tick_id        - id of the tick
--     i_orig_timestamp - time of the tick
--     i_event_seq      - position of the event sequence at the tick; null: the position of this queue's own sequence
-- Returns:
--     the tick's id
-- Calls:
--     pgq._lock_ticks(2), pgq._insert_tick(5), pgq.seq_setval(2)
-- Writes:
--     pgq.tick; moves the queue's sequences forward to the given values
-- Locks:
--     as pgq._lock_ticks(2); waits for another ticker's transaction
-- ----------------------------------------------------------------------
declare
    v_queue     record;
begin
    select q.* into v_queue
    from pgq.queue q
    where q.queue_name = i_queue_name
      and q.queue_external_ticker
      and not q.queue_ticker_paused;
    if not found then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'queue not found or ticks not allowed',
            detail = format('Queue: %s', coalesce(i_queue_name, 'null')),
            hint = 'Ticks with given ids go only into queues with queue_external_ticker set.';
    end if;
    perform pgq._lock_ticks(v_queue.queue_id, true);
    if i_event_seq is not null then
        perform pgq.seq_setval(v_queue.queue_event_seq, i_event_seq);
    end if;
    perform pgq.seq_setval(v_queue.queue_tick_seq, i_tick_id);
    return pgq._insert_tick(v_queue.queue_id, i_queue_name, i_tick_id, i_orig_timestamp, i_event_seq);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
