create or replace function pgq._find_batch_event(
    in x_batch_id bigint, in x_event_id bigint,
    out sub_id integer, out sub_queue integer, out event pgq.event_template)
as $$
-- ----------------------------------------------------------------------
-- Function: pgq._find_batch_event(2)
--     Finds one event of a batch, and the subscription that the batch belongs to. Each call reads the whole batch: a call is
--     meant for the few events that a consumer puts aside, not for each event.
-- Parameters:
--     x_batch_id - id of an active batch
--     x_event_id - id of the event
-- Returns:
--     sub_id, sub_queue - the subscription and its queue
--     event             - the event, with sub_id as ev_owner
-- Raises:
--     undefined_object when the batch is not active or the event is not in it
-- Calls:
--     pgq.batch_event_sql(1)
-- ----------------------------------------------------------------------
declare
    v_event     record;
begin
    select s.sub_id, s.sub_queue into _find_batch_event.sub_id, _find_batch_event.sub_queue
    from pgq.subscription s
    where s.sub_batch = x_batch_id;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'batch not found',
            detail = format('Batch: %s', coalesce(x_batch_id::text, 'null')),
            hint = 'It is finished, or was closed when its consumer was moved. Ask for the next batch.';
    end if;
    execute format('select * from (%s) ev where ev.ev_id = $1 limit 1', pgq.batch_event_sql(x_batch_id))
    into v_event
    using x_event_id;
    if v_event.ev_id is null then
        raise exception using
            errcode = 'undefined_object',
            message = 'event not found',
            detail = format('Batch: %s, event: %s', x_batch_id, coalesce(x_event_id::text, 'null'));
    end if;
    event := row(v_event.ev_id, v_event.ev_time, v_event.ev_txid, sub_id, v_event.ev_retry, v_event.ev_type,
                 v_event.ev_data, v_event.ev_extra1, v_event.ev_extra2, v_event.ev_extra3, v_event.ev_extra4);
end;
$$ language plpgsql;
