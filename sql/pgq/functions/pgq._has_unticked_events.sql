create or replace function pgq._has_unticked_events(i_queue_id integer, i_snapshot txid_snapshot)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._has_unticked_events(2)
--     Tells whether there are events that were committed after a tick although their ids were given out before the tick:
--     events of transactions that were open at the tick. The event sequence does not show these events.
-- Parameters:
--     i_queue_id - the queue
--     i_snapshot - the snapshot of the queue's last tick
-- Returns:
--     whether there are such events. Costs two searches in the index on ev_txid, of the current event table and of the one
--     before it
-- ----------------------------------------------------------------------
declare
    v_running   bigint[] := array(select txid_snapshot_xip(i_snapshot));
    v_table     text;
    v_found     boolean;
begin
    -- The one transaction since then is the tick's own.
    if v_running = '{}'
       and txid_snapshot_xmax(txid_current_snapshot()) <= txid_snapshot_xmax(i_snapshot) + 1 then
        return false;
    end if;
    for v_table in
        select q.queue_data_pfx || '_' || ((q.queue_cur_table + q.queue_ntables - age) % q.queue_ntables)::text
        from pgq.queue q, generate_series(0, 1) age
        where q.queue_id = i_queue_id
        order by age
    loop
        execute format('select coalesce((select max(ev_txid) from %1$s) >= $1, false)'
                       ' or exists (select 1 from %1$s where ev_txid = any ($2))', v_table::regclass)
        into v_found
        using txid_snapshot_xmax(i_snapshot), v_running;
        if v_found then
            return true;
        end if;
    end loop;
    return false;
end;
$$ language plpgsql;
