create or replace function pgq._has_new_events(i_queue_id integer, i_event_seq bigint)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._has_new_events(2)
--     Tells whether events may have come since a queue's last tick: the event sequence has moved (the transaction may still be
--     open), or a transaction that was open at the tick has been committed.
-- Parameters:
--     i_queue_id  - the queue
--     i_event_seq - position of the queue's event sequence
-- Returns:
--     whether there may be new events; true for a queue without a tick
-- Calls:
--     pgq._has_unticked_events(2)
-- ----------------------------------------------------------------------
declare
    v_last      record;
begin
    select t.tick_event_seq, t.tick_snapshot into v_last
    from pgq.tick t
    where t.tick_queue = i_queue_id
    order by t.tick_id desc
    limit 1;
    return not found
        or i_event_seq <> v_last.tick_event_seq
        or pgq._has_unticked_events(i_queue_id, v_last.tick_snapshot);
end;
$$ language plpgsql;
