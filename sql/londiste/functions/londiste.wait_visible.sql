create or replace function londiste.wait_visible(
    i_txid bigint, i_timeout interval default interval '10 seconds', i_queue_name text default null)
returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.wait_visible(3)
--     Waits until a transaction of the provider is visible here, so that a client that has written there can read its own changes:
--     statements after this one see them, in tables that are "ok". A transaction that was rolled back counts as visible when replay is
--     past it.
-- Parameters:
--     i_txid       - the transaction, as txid_current() gives it on the provider before the commit
--     i_timeout    - longest wait
--     i_queue_name - the queue that replay reads; null: the only one there is
-- Returns: true when the transaction is visible; false when the time is over
-- Raises:
--     active_sql_transaction  - the transaction keeps its snapshot, so that it would not see the changes
--     undefined_object        - replay has not applied this queue to this database, or there are several queues and none is named
-- Calls: londiste.applied(1)
-- ----------------------------------------------------------------------
declare
    -- Not now(), which stands still.
    v_until     constant timestamptz := clock_timestamp() + i_timeout;
    v_queue     text := i_queue_name;
    v_snapshot  txid_snapshot;
    v_pause     float8 := 0.002;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'active_sql_transaction',
            message = 'londiste.wait_visible() makes sense in read committed transactions only',
            detail = 'The snapshot of this transaction stays as it is, whatever replay applies meanwhile.',
            hint = 'Wait before the transaction begins.';
    end if;
    if v_queue is null and (select count(*) from londiste.queue_consumer) = 1 then
        select q.queue_name into v_queue from londiste.queue_consumer q;
    end if;
    if not exists (select 1 from londiste.queue_consumer q where q.queue_name = v_queue) then
        raise exception using
            errcode = 'undefined_object',
            message = coalesce(format('no replay has applied queue %s to this database', v_queue),
                               'several queues are applied to this database, or none'),
            hint = 'Name the queue: londiste.wait_visible(TXID, TIMEOUT, QUEUE); londiste.queue_consumer has those that are applied here.';
    end if;
    loop
        select a.tick_snapshot into v_snapshot from londiste.applied(v_queue) a;
        if txid_visible_in_snapshot(i_txid, v_snapshot) then
            return true;
        elsif clock_timestamp() >= v_until then
            return false;
        end if;
        perform pg_sleep(least(v_pause, greatest(extract(epoch from v_until - clock_timestamp()), 0)));
        v_pause := least(v_pause * 1.5, 0.05);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
