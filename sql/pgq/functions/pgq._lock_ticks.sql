create or replace function pgq._lock_ticks(i_queue_id integer, i_wait boolean)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._lock_ticks(2)
--     Takes the right to insert ticks into a queue, until the end of the transaction (see pgq._insert_tick). It is
--     an advisory lock, so that neither rotation nor a change of the queue's settings has to do with it.
-- Parameters:
--     i_queue_id - the queue
--     i_wait     - wait for another ticker's transaction to end
-- Returns:
--     true, or false when another ticker is at it and i_wait is false
-- ----------------------------------------------------------------------
declare
    -- The name space of these locks: the letters "pgqt" as an integer.
    c_class     constant integer := 1885827444;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'active_sql_transaction',
            message = 'ticks can be made in read committed transactions only',
            detail = 'The snapshot of this transaction may be older than the last tick.',
            hint = 'Call the ticker in autocommit mode, or set transaction_isolation to read committed.';
    end if;
    if i_wait then
        perform pg_advisory_xact_lock(c_class, i_queue_id);
        return true;
    end if;
    return pg_try_advisory_xact_lock(c_class, i_queue_id);
end;
$$ language plpgsql;
