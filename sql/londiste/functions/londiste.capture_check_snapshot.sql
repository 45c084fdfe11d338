create or replace function londiste.capture_check_snapshot(i_relation oid) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_check_snapshot(1)
--     Raises an error unless a query of this transaction sees all committed rows of a relation that the transaction has locked
--     against writers.
--
--     TRUNCATE removes all rows of the table, also rows that its transaction does not see. In isolation level read committed
--     the trigger's query takes its snapshot under the lock and sees all committed rows. A transaction of level repeatable read
--     or serializable may have taken its snapshot before other transactions committed rows: these rows would be removed without
--     an event. SQL cannot read with a newer snapshot, but can find out whether any transaction has committed since the
--     snapshot. If one has, the transaction has to be repeated, as after any serialization failure.
-- Parameters: i_relation - the relation, for the message
-- Raises: serialization_failure
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
        -- The snapshot does not tell which transaction ids were assigned since. txid_status() of an id that is not assigned yet
        -- raises an error, which ends the loop.
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
