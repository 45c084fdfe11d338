create or replace function pgq._snapshot_with_self()
returns txid_snapshot as $$
-- ----------------------------------------------------------------------
-- Function: pgq._snapshot_with_self(0)
--     The snapshot of this moment, in which the present transaction is over.
--
--     Who repeats a queue writes the events of a batch and its end tick in one transaction. In a snapshot that is
--     taken there, the transaction itself is as a rule not begun yet: its id is at or above xmax. The events would be
--     in the batch that ends at the next tick, and who has finished this tick would not have them. So the snapshot is
--     stretched to the present transaction; all others from the old xmax on have not ended, and join the running ones.
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
