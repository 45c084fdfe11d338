create or replace function pgq.event_failed(x_batch_id bigint, x_event_id bigint, x_reason text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.event_failed(3)
--     Puts an event of a batch into the failed queue, where it stays until pgq.failed_event_retry(3) or
--     pgq.failed_event_delete(3) is called.
-- Parameters:
--     x_batch_id - id of an active batch
--     x_event_id - id of the event
--     x_reason   - why the event failed
-- Returns:
--     1, or 0 when the event is in the failed queue already
-- Calls:
--     pgq._find_batch_event(2)
-- Writes:
--     pgq.failed_queue
-- ----------------------------------------------------------------------
begin
    insert into pgq.failed_queue (ev_failed_reason, ev_failed_time, ev_id, ev_time, ev_txid, ev_owner, ev_retry,
                                  ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    select x_reason, now(), (f.event).ev_id, (f.event).ev_time, (f.event).ev_txid, f.sub_id,
           (f.event).ev_retry, (f.event).ev_type, (f.event).ev_data,
           (f.event).ev_extra1, (f.event).ev_extra2, (f.event).ev_extra3, (f.event).ev_extra4
    from pgq._find_batch_event(x_batch_id, x_event_id) f
    on conflict (ev_owner, ev_id) do nothing;
    return found::integer;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
