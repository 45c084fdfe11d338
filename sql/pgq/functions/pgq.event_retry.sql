create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_time timestamptz)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.event_retry(3)
--     Puts an event of a batch into the retry queue: this consumer gets it again at a given time.
-- Parameters:
--     x_batch_id   - id of an active batch
--     x_event_id   - id of the event
--     x_retry_time - when the event comes again
-- Returns:
--     1, or 0 when the event is in the retry queue already
-- Calls:
--     pgq._find_batch_event(2)
-- Writes:
--     pgq.retry_queue
-- ----------------------------------------------------------------------
begin
    insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_txid, ev_owner, ev_retry,
                                 ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    select x_retry_time, f.sub_queue, (f.event).ev_id, (f.event).ev_time, null, f.sub_id,
           coalesce((f.event).ev_retry, 0) + 1, (f.event).ev_type, (f.event).ev_data,
           (f.event).ev_extra1, (f.event).ev_extra2, (f.event).ev_extra3, (f.event).ev_extra4
    from pgq._find_batch_event(x_batch_id, x_event_id) f
    on conflict (ev_owner, ev_id) do nothing;
    return found::integer;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_seconds integer)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.event_retry(3)
--     Puts an event of a batch into the retry queue: this consumer gets it again after some time.
-- Parameters:
--     x_batch_id      - id of an active batch
--     x_event_id      - id of the event
--     x_retry_seconds - after how many seconds the event comes again
-- Returns:
--     1, or 0 when the event is in the retry queue already
-- Calls:
--     pgq.event_retry(3) with a time
-- ----------------------------------------------------------------------
begin
    return pgq.event_retry(x_batch_id, x_event_id, now() + x_retry_seconds * interval '1 second');
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
