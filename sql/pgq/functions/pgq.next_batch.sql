create or replace function pgq.next_batch(i_queue_name text, i_consumer_name text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.next_batch(2)
--     Makes the next batch of a consumer active, and returns an active batch until it is finished.
-- Parameters:
--     i_queue_name    - name of the queue
--     i_consumer_name - name of the consumer
-- Returns:
--     the batch's id, or null when there is no tick after the consumer's position yet
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
