create or replace function pgq._lock_ticks(i_queue_id integer, i_wait boolean)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._lock_ticks(2)
--     Takes the right to insert the next tick into a queue, until the end of the transaction. The right is the lock on the
--     row of the queue's newest tick; only roles that may change pgq.tick can take that lock, where an advisory lock would be
--     any role's. Rotation, consumers, writers and changes of the queue's settings do not touch that row.
--
--     Why no two transactions can both hold the right: the lock counts only when the row is still the newest tick after it
--     was locked. Say A inserts tick 8 after it locked tick 7. B sees tick 7 as the newest, too, and either
--       1. finds the row locked until A has ended, then sees tick 8, and its lock on 7 is worth nothing; or
--       2. has locked tick 7 before A, and A is the one that waits.
-- Parameters:
--     i_queue_id - the queue
--     i_wait     - wait for another ticker's transaction to end
-- Returns:
--     true, or false when another ticker is at it and i_wait is false
-- Locks:
--     the queue's row for key share, as inserting a tick does, and first: who drops or rebases the queue holds that row for
--     update; then the row of the queue's newest tick for no key update, of a queue without ticks the queue's own row.
--     Until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_newest    bigint;
begin
    perform pgq._need_read_committed();
    if i_wait then
        perform 1 from pgq.queue q where q.queue_id = i_queue_id for key share;
    else
        perform 1 from pgq.queue q where q.queue_id = i_queue_id for key share skip locked;
    end if;
    if not found then
        return false;
    end if;
    loop
        -- Each statement sees what is committed now.
        select max(t.tick_id) into v_newest from pgq.tick t where t.tick_queue = i_queue_id;
        if v_newest is null and i_wait then
            perform 1 from pgq.queue q where q.queue_id = i_queue_id for no key update;
        elsif v_newest is null then
            perform 1 from pgq.queue q where q.queue_id = i_queue_id for no key update skip locked;
        elsif i_wait then
            perform 1 from pgq.tick t where t.tick_queue = i_queue_id and t.tick_id = v_newest for no key update;
        else
            perform 1 from pgq.tick t where t.tick_queue = i_queue_id and t.tick_id = v_newest
            for no key update skip locked;
        end if;
        if found and not exists (select 1
                                 from pgq.tick t
                                 where t.tick_queue = i_queue_id
                                   and (v_newest is null or t.tick_id > v_newest)) then
            return true;
        elsif not i_wait then
            return false;
        end if;
    end loop;
end;
$$ language plpgsql;
