create or replace function pgq._event_seq(i_seq_name text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq._event_seq(1)
--     Reads the last event id that a queue's sequence has given out. Column last_value alone does not tell: it is 1 both
--     before and after the first id.
-- Parameters:
--     i_seq_name - pgq.queue.queue_event_seq
-- Returns:
--     the id, 0 before the first
-- ----------------------------------------------------------------------
declare
    v_value     bigint;
begin
    execute format('select last_value - (not is_called)::integer from %s', i_seq_name::regclass) into v_value;
    return v_value;
end;
$$ language plpgsql;
