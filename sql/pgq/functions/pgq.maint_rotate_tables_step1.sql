create or replace function pgq.maint_rotate_tables_step1(i_queue_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.maint_rotate_tables_step1(1)
--     Rotates a queue when its rotation period is over, or when the last rotation lies in the future because the clock was
--     set back: empties the oldest event table, lets new events go there, and removes the ticks whose events are gone. Must be committed before pgq.maint_rotate_tables_step2() is called.
--
--     With three tables, the table to be emptied took events until the rotation before the last one. It can be emptied when
--       1. all transactions that began before the last rotation was visible to all (switch_step2) have ended: none can
--          still write into it;
--       2. every consumer's position is past switch_step2: none can still need an event from it. A subconsumer between
--          batches has no position and needs nothing;
--       3. no session has a lock on it, and no straggler (see pgq.batch_event_tables) has left an unread event in it.
--     When one of these does not hold, the rotation is put off to the next call; the event tables grow meanwhile.
--     pgq.rotation_blockers() tells who is in the way. Rotation does not wait: it asks for the lock on the table with nowait.
--     Sessions that ask for a lock on the table later wait until this transaction ends.
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     1 when it rotated, else 0 (not due yet, put off, being rotated by another session, no such queue)
-- Writes:
--     pgq.queue, pgq.tick; truncates an event table
-- Locks:
--     the queue's row for no key update, which keeps out other rotations, registering and dropping; the event table that it
--     empties in access exclusive mode. Both without waiting, until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_next      integer;
    v_table     regclass;
    v_oldest    bigint;
    v_unread    boolean;
begin
    select q.* into v_queue
    from pgq.queue q
    where q.queue_name = i_queue_name
    for no key update skip locked;
    if not found then
        return 0;
    end if;
    if v_queue.queue_switch_step1 > txid_snapshot_xmax(txid_current_snapshot()) then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('queue %s maint failure: step1=%s, current=%s', i_queue_name,
                             v_queue.queue_switch_step1, txid_snapshot_xmax(txid_current_snapshot())),
            detail = 'The last rotation is ahead of this server''s transaction counter: the database was restored into'
                     ' another cluster.',
            hint = 'Run "pgqadm rebase QUEUE", or select pgq.rebase_queue(QUEUE).';
    end if;
    if v_queue.queue_switch_step2 is null
       or now() - v_queue.queue_switch_time < v_queue.queue_rotation_period
          and v_queue.queue_switch_time <= clock_timestamp() then
        return 0;
    end if;

    if v_queue.queue_switch_step2 >= txid_snapshot_xmin(txid_current_snapshot()) then
        raise notice 'rotation of queue % is put off: a transaction from before the last rotation is still open',
                     i_queue_name;
        return 0;
    end if;
    select min(coalesce(txid_snapshot_xmin(t.tick_snapshot), 0)) into v_oldest
    from pgq.subscription s
        left join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
    where s.sub_queue = v_queue.queue_id
      and s.sub_last_tick is not null;
    if v_oldest <= v_queue.queue_switch_step2 then
        return 0;
    end if;

    v_next := (v_queue.queue_cur_table + 1) % v_queue.queue_ntables;
    v_table := (v_queue.queue_data_pfx || '_' || v_next::text)::regclass;
    begin
        execute format('lock table only %s in access exclusive mode nowait', v_table);
    exception
        when lock_not_available then
            raise notice 'rotation of queue % is put off: table % is in use', i_queue_name, v_table;
            return 0;
    end;
    execute format('select coalesce(max(ev_txid) >= $1, false) from only %s', v_table)
    into v_unread
    using v_oldest;
    if v_unread then
        raise notice 'rotation of queue % is put off: table % has unread events', i_queue_name, v_table;
        return 0;
    end if;
    execute format('truncate table only %s', v_table);

    update pgq.queue
    set queue_cur_table = v_next,
        queue_switch_time = now(),
        queue_switch_step1 = txid_current(),
        queue_switch_step2 = null
    where queue_id = v_queue.queue_id;

    -- A tick is worth keeping, for a consumer that is moved back to it, as long as every event after it is there.
    delete from pgq.tick
    where tick_queue = v_queue.queue_id
      and txid_snapshot_xmin(tick_snapshot) <= v_queue.queue_switch_step2
      and tick_id < (select max(l.tick_id) from pgq.tick l where l.tick_queue = v_queue.queue_id);
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
