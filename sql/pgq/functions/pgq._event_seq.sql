create or replace function pgq._event_seq(i_seq_name text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_seq(1)
--     Reads where a queue's event sequence stands: the last id that was given out, 0 before the first. last_value
--     alone is 1 in both cases, and would not show the first event of a queue.
-- Parameters:
--     i_seq_name - pgq.queue.queue_event_seq
-- Returns:
--     the position
-- ----------------------------------------------------------------------
declare
    v_value     bigint;
begin
    execute format('select last_value - (not is_called)::integer from %s', i_seq_name::regclass) into v_value;
    return v_value;
end;
$$ language plpgsql;
