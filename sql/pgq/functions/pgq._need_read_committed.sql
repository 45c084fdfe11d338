create or replace function pgq._need_read_committed()
returns void as $$
-- ----------------------------------------------------------------------
-- Function: pgq._need_read_committed(0)
--     Refuses to make a tick in a transaction whose snapshot stands still: another transaction may have made a newer tick since.
-- ----------------------------------------------------------------------
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'active_sql_transaction',
            message = 'ticks can be made in read committed transactions only',
            detail = 'The snapshot of this transaction may be older than the last tick.',
            hint = 'Call the ticker in autocommit mode, or set transaction_isolation to read committed.';
    end if;
end;
$$ language plpgsql;
