create or replace function pgq._lock_ticks(i_queue_id integer, i_wait boolean)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._lock_ticks(2)
--     Locks a queue against other tickers until the end of the transaction: whoever inserts a tick holds this lock. It is the
--     lock on the row of the queue's newest tick. Only roles that may change pgq.tick can take that lock; any role could take
--     an advisory lock. Rotation, consumers, writers and changes of the queue's settings do not touch that row.
--
--     Why two transactions cannot both hold the lock: locking a row counts only when that row is still the newest tick
--     afterwards. Say A has locked tick 7 and inserts tick 8. B, too, has seen tick 7 as the newest, and either
--       1. B asks for the lock on tick 7 after A: B gets it when A has ended, sees tick 8, and the lock does not count; or
--       2. B has got the lock on tick 7 before A: then A is the one that waits.
-- Parameters:
--     i_queue_id - the queue
--     i_wait     - wait for another ticker's transaction to end
-- Returns:
--     true; false when another ticker holds the lock and i_wait is false, and when the queue is gone
-- Locks:
--     until the end of the transaction, in this order: the queue's row for key share, as inserting a tick does anyway
--     (dropping and rebasing a queue begin with that row for update); the row of the queue's newest tick for no key update,
--     or the queue's row when the queue has no tick
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
