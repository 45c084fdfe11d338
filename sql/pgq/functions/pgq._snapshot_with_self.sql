create or replace function pgq._snapshot_with_self()
returns txid_snapshot as $$
-- ----------------------------------------------------------------------
-- Function: pgq._snapshot_with_self(0)
--     Returns the snapshot of this moment, changed so that the present transaction counts as ended.
--
--     A program that repeats a queue into another one writes the events of a batch and the tick at its end in one
--     transaction. In a snapshot that is taken in that transaction, the transaction itself usually has not begun: its id is
--     at or above xmax. Its events would then be in the batch after the tick, and consumers that have finished the tick would
--     not have them. So xmax is moved behind the id of the present transaction. The other transactions between the old and
--     the new xmax have not ended; they are added to the list of running transactions.
-- Returns:
--     the snapshot
-- ----------------------------------------------------------------------
declare
    v_self      bigint := txid_current();
    v_now       txid_snapshot := txid_current_snapshot();
    v_running   text;
begin
    if v_self < txid_snapshot_xmax(v_now) then
        return v_now;
    end if;
    select string_agg(x::text, ',' order by x) into v_running
    from (
        select txid_snapshot_xip(v_now)
        union all
        select generate_series(txid_snapshot_xmax(v_now), v_self - 1)
    ) r (x);
    return format('%s:%s:%s', txid_snapshot_xmin(v_now), v_self + 1, v_running)::txid_snapshot;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
