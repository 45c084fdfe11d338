create or replace function pgq.get_batch_info(
    in x_batch_id bigint,
    out queue_name text, out consumer_name text, out batch_start timestamptz, out batch_end timestamptz,
    out prev_tick_id bigint, out tick_id bigint, out lag interval, out seq_start bigint, out seq_end bigint)
as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_batch_info(1)
--     Returns the queue, the consumer and the ticks of a batch.
-- Parameters:
--     x_batch_id - id of an active batch
-- Returns:
--     queue_name, consumer_name - names of the queue and of the consumer
--     batch_start, batch_end    - times of the ticks at the begin and at the end
--     prev_tick_id, tick_id     - ids of these ticks
--     lag                       - age of the tick at the end
--     seq_start, seq_end        - positions of the event sequence at these ticks
--     All null when the batch is not active
-- ----------------------------------------------------------------------
begin
    select q.queue_name, co.co_name, p.tick_time, c.tick_time, p.tick_id, c.tick_id, now() - c.tick_time,
           p.tick_event_seq, c.tick_event_seq
    into get_batch_info.queue_name, consumer_name, batch_start, batch_end, prev_tick_id, get_batch_info.tick_id, lag,
         seq_start, seq_end
    from pgq.subscription s
        join pgq.queue q on q.queue_id = s.sub_queue
        join pgq.consumer co on co.co_id = s.sub_consumer
        left join pgq.tick p on p.tick_queue = s.sub_queue and p.tick_id = s.sub_last_tick
        left join pgq.tick c on c.tick_queue = s.sub_queue and c.tick_id = s.sub_next_tick
    where s.sub_batch = x_batch_id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
