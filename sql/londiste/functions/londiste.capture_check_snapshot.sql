create or replace function londiste.capture_check_snapshot(i_relation oid) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_check_snapshot(1)
--     Raises unless a query sees all committed rows of a relation that this transaction has locked against writers.
--
--     TRUNCATE removes what is in the table, not what its transaction sees. In read committed the trigger's query takes its snapshot
--     under the lock, so that is the same. A transaction that keeps its first snapshot may have taken it before others committed
--     rows: those would go without an event. Nothing in SQL reads with a newer snapshot, but it can be found out whether anything
--     at all was committed since: then, and only then, the transaction has to be repeated, as after any other such conflict.
-- Parameters: i_relation - for the message
-- ----------------------------------------------------------------------
declare
    v_snapshot txid_snapshot := txid_current_snapshot();
    v_txid bigint := txid_snapshot_xmax(v_snapshot);
    v_is_newest boolean;
begin
    if current_setting('transaction_isolation') not in ('repeatable read', 'serializable') then
        return;
    end if;
    v_is_newest := not exists (
        select 1 from txid_snapshot_xip(v_snapshot) x(txid) where coalesce(txid_status(x.txid), 'committed') = 'committed');
    begin
        -- The snapshot does not know which transaction ids were given since; the first that was not yet is an error.
        while v_is_newest loop
            v_is_newest := coalesce(txid_status(v_txid), 'committed') <> 'committed';
            v_txid := v_txid + 1;
        end loop;
    exception
        when invalid_parameter_value then
            return;
    end;
    raise exception using
        errcode = 'serialization_failure',
        message = format('could not serialize access: partition %s may hold rows that this transaction does not see', i_relation::regclass),
        detail = 'The table of the partition is replicated. Rows that the transaction does not see would be truncated here and '
                 'stay on the subscribers.',
        hint = 'Repeat the transaction, or truncate in isolation level read committed.';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
