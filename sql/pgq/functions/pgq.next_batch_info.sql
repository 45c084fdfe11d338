create or replace function pgq.next_batch_info(
    in i_queue_name text, in i_consumer_name text,
    out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint,
    out cur_tick_time timestamptz, out prev_tick_time timestamptz,
    out cur_tick_event_seq bigint, out prev_tick_event_seq bigint)
as $$
-- ----------------------------------------------------------------------
-- Function: pgq.next_batch_info(2)
--     Makes the next batch of a consumer active: the events up to the tick after the consumer's position. Returns an active
--     batch again until it is finished.
-- Parameters:
--     i_queue_name    - name of the queue
--     i_consumer_name - name of the consumer
-- Returns:
--     the batch's id and ticks; batch_id is null when there is no tick after the consumer's position yet
-- Calls:
--     pgq.next_batch_custom(5)
-- ----------------------------------------------------------------------
begin
    select f.batch_id, f.cur_tick_id, f.prev_tick_id, f.cur_tick_time, f.prev_tick_time,
           f.cur_tick_event_seq, f.prev_tick_event_seq
    into batch_id, cur_tick_id, prev_tick_id, cur_tick_time, prev_tick_time,
         cur_tick_event_seq, prev_tick_event_seq
    from pgq.next_batch_custom(i_queue_name, i_consumer_name, null::interval, null::integer, null::interval) f;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
