create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.insert_event(3)
--     Puts an event into a queue.
-- Parameters:
--     queue_name - name of the queue
--     ev_type    - type of the event
--     ev_data    - data of the event
-- Returns:
--     the event's id
-- Calls:
--     pgq.insert_event(7)
-- ----------------------------------------------------------------------
begin
    return pgq.insert_event(queue_name, ev_type, ev_data, null::text, null::text, null::text, null::text);
end;
$$ language plpgsql;

create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.insert_event(7)
--     Puts an event into a queue.
-- Parameters:
--     queue_name   - name of the queue
--     ev_type      - type of the event
--     ev_data      - data of the event
--     ev_extra1..4 - further data
-- Returns:
--     the event's id
-- Calls:
--     pgq.insert_event_raw(11)
-- Writes:
--     the current event table of the queue
-- ----------------------------------------------------------------------
begin
    return pgq.insert_event_raw(queue_name, null::bigint, now(), null::integer, null::integer,
                                ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
