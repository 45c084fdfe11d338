create or replace function pgq.next_batch(i_queue_name text, i_consumer_name text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.next_batch(2)
--     Makes the next block of events active.
-- Parameters:
--     i_queue_name    - name of the queue
--     i_consumer_name - name of the consumer
-- Returns:
--     the batch's id, or null when there is nothing to read yet
-- Calls:
--     pgq.next_batch_custom(5)
-- ----------------------------------------------------------------------
declare
    v_batch_id  bigint;
begin
    select f.batch_id into v_batch_id
    from pgq.next_batch_custom(i_queue_name, i_consumer_name, null::interval, null::integer, null::interval) f;
    return v_batch_id;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
