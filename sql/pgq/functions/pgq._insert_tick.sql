create or replace function pgq._insert_tick(
    i_queue_id integer, i_queue_name text, i_tick_id bigint, i_tick_time timestamptz, i_event_seq bigint)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq._insert_tick(5)
--     Inserts a tick with the snapshot of this moment and wakes those who listen on channel rlondiste_tick. A tick with
--     a given id comes from another queue, with its events in the same transaction: its snapshot has them.
--
--     Ticks must be in order: what one tick's snapshot sees as over, every later tick's must see too, or events are
--     lost between them. The race: 1. ticker A takes id 5; 2. ticker B takes id 6 and its snapshot; 3. a transaction
--     ends; 4. A takes its snapshot, which is now newer than that of tick 6. Hence the rule: the caller holds
--     the lock of pgq._lock_ticks(2) to the end of its transaction, and each statement sees the newest data (read
--     committed), so that the snapshot here is taken after the previous tick was committed.
--
--     A new id is also above that of the newest tick, where that did not come from the sequence: consumers that have read up
--     to that tick look for higher ids.
-- Parameters:
--     i_queue_id, i_queue_name - the queue
--     i_tick_id   - id of the tick, or null for the next one
--     i_tick_time - time of the tick
--     i_event_seq - where the event sequence stood at a tick of another queue; null: where this queue's own stands
--                   after the snapshot was taken. No event that the snapshot sees has a higher id then, which
--                   pgq.rebase_queue goes by; one that it does not see and the sequence has counted is found by
--                   pgq._has_unticked_events
-- Returns:
--     the tick's id
-- Calls:
--     pgq._snapshot_with_self(0), pgq._event_seq(1)
-- Writes:
--     pgq.tick; moves the tick sequence forward
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_last      record;
    v_tick_id   bigint := i_tick_id;
begin
    select q.queue_tick_seq, q.queue_event_seq into v_queue from pgq.queue q where q.queue_id = i_queue_id;
    if v_tick_id is null then
        v_tick_id := nextval(v_queue.queue_tick_seq::regclass);
        select t.tick_id, t.tick_time into v_last
        from pgq.tick t
        where t.tick_queue = i_queue_id
        order by t.tick_id desc
        limit 1;
        if v_tick_id <= v_last.tick_id then
            v_tick_id := setval(v_queue.queue_tick_seq::regclass, v_last.tick_id + 1);
        end if;
        if v_last.tick_time > clock_timestamp() then
            raise warning 'queue %: the last tick lies % in the future, so the clock was set back; ticks go on', i_queue_name,
                          v_last.tick_time - clock_timestamp();
        end if;
    end if;
    insert into pgq.tick (tick_queue, tick_id, tick_time, tick_snapshot, tick_event_seq)
    select i_queue_id, v_tick_id, i_tick_time,
           case when i_tick_id is null then txid_current_snapshot() else pgq._snapshot_with_self() end,
           coalesce(i_event_seq, pgq._event_seq(v_queue.queue_event_seq));
    perform pg_notify('rlondiste_tick', i_queue_name);
    return v_tick_id;
end;
$$ language plpgsql;
