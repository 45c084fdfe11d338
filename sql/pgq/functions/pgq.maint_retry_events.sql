create or replace function pgq.maint_retry_events()
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.maint_retry_events(0)
--     Puts events of the retry queue whose time has come back into their queues, with their old ids; only the consumers that
--     have asked for them get them. At most 1000 in one call, so that a transaction stays short: call it until it returns 0.
-- Returns:
--     number of events put back
-- Calls:
--     pgq.insert_event_raw(11)
-- Writes:
--     pgq.retry_queue, event tables
-- Locks:
--     the rows of pgq.retry_queue that it moves; leaves out those that others have locked
-- ----------------------------------------------------------------------
declare
    v_event     record;
    v_count     integer := 0;
begin
    for v_event in
        select q.queue_name, r.*
        from pgq.retry_queue r
            join pgq.queue q on q.queue_id = r.ev_queue
        where r.ev_retry_after <= now()
          and not q.queue_disable_insert
        order by r.ev_retry_after, r.ev_id
        limit 1000
        for update of r skip locked
    loop
        perform pgq.insert_event_raw(v_event.queue_name, v_event.ev_id, v_event.ev_time, v_event.ev_owner,
                                     v_event.ev_retry, v_event.ev_type, v_event.ev_data, v_event.ev_extra1,
                                     v_event.ev_extra2, v_event.ev_extra3, v_event.ev_extra4);
        delete from pgq.retry_queue where ev_owner = v_event.ev_owner and ev_id = v_event.ev_id;
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
