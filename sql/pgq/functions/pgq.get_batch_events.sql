create or replace function pgq.get_batch_events(
    in x_batch_id bigint,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer, out ev_type text,
    out ev_data text, out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_batch_events(1)
--     Reads all events of a batch, in order of ev_id. The server collects all events before it sends the first one; for big
--     batches use the query of pgq.batch_event_sql(1) with a cursor or copy.
-- Parameters:
--     x_batch_id - id of an active batch
-- Returns:
--     the events
-- Calls:
--     pgq.batch_event_sql(1)
-- ----------------------------------------------------------------------
begin
    return query execute pgq.batch_event_sql(x_batch_id);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
