create or replace function londiste.capture_insert(i_event_table text, i_source text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_insert(2)
--     Returns the statement that inserts events into an event table. Event ids come from the column's default, the next value
--     of the queue's event sequence: a volatile function in the query would cost a plan node.
-- Parameters:
--     i_event_table - name of the event table
--     i_source      - query with columns ev_type, ev_data and those of londiste.capture_constants(), in the order of the rows
-- ----------------------------------------------------------------------
begin
    return format(E'insert into %s (ev_type, ev_data, ev_time, ev_extra1)\n%s', i_event_table, i_source);
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
