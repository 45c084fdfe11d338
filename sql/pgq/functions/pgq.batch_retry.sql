create or replace function pgq.batch_retry(i_batch_id bigint, i_retry_seconds integer)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.batch_retry(2)
--     Puts all events of a batch into the retry queue: this consumer gets them again after some time.
-- Parameters:
--     i_batch_id      - id of an active batch
--     i_retry_seconds - after how many seconds the events come again
-- Returns:
--     number of events that were added; events that are in the retry queue already do not count
-- Calls:
--     pgq.batch_event_sql(1)
-- Writes:
--     pgq.retry_queue
-- ----------------------------------------------------------------------
declare
    v_sub       record;
    v_count     integer;
begin
    select s.sub_id, s.sub_queue into v_sub from pgq.subscription s where s.sub_batch = i_batch_id;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = format('batch_retry: batch %s not found', coalesce(i_batch_id::text, 'null'));
    end if;
    execute format(
        'insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry,'
        ' ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
        ' select distinct on (ev_id) $1, $2, ev_id, ev_time, $3, coalesce(ev_retry, 0) + 1,'
        ' ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from (%s) ev'
        ' on conflict (ev_owner, ev_id) do nothing', pgq.batch_event_sql(i_batch_id))
    using now() + i_retry_seconds * interval '1 second', v_sub.sub_queue, v_sub.sub_id;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
