create or replace function pgq._count_tx_events(
    i_queue_id integer, i_queue_name text, i_limit integer, i_count bigint)
returns void as $$
-- ----------------------------------------------------------------------
-- Function: pgq._count_tx_events(4)
--     Counts the events that this transaction puts into a queue, and raises an error when there are more than the queue's
--     limit. The count is kept in a setting of the transaction, which rolling back to a savepoint sets back too.
-- Parameters:
--     i_queue_id   - id of the queue
--     i_queue_name - name of the queue, for the message
--     i_limit      - queue_per_tx_limit
--     i_count      - number of events to add
-- Raises:
--     program_limit_exceeded
-- ----------------------------------------------------------------------
declare
    v_setting   text := 'pgq.tx_events_' || i_queue_id::text;
    v_count     bigint;
begin
    v_count := coalesce(nullif(current_setting(v_setting, true), ''), '0')::bigint + i_count;
    if v_count > i_limit then
        raise exception using
            errcode = 'program_limit_exceeded',
            message = format('Queue ''%s'' allows max %s events from one TX', i_queue_name, i_limit),
            hint = 'Split the transaction, or change queue_per_tx_limit in pgq.queue.';
    end if;
    perform set_config(v_setting, v_count::text, true);
end;
$$ language plpgsql;
