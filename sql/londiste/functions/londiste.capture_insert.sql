create or replace function londiste.capture_insert(i_event_table text, i_table_name text, i_source text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_insert(3)
--     Returns the statement that inserts events into an event table. Event ids come from the column's default, the next value
--     of the queue's event sequence: a volatile function in the query would cost a plan node.
-- Parameters:
--     i_event_table - name of the event table
--     i_table_name  - name of the captured table in the set: events keep this name when the table is renamed
--     i_source      - query with columns ev_type, ev_data, in the order of the rows
-- ----------------------------------------------------------------------
begin
    return (
        select format(
        'insert into %s (ev_time, ev_type, ev_data, ev_extra1)
        select pg_catalog.now(), e.ev_type, e.ev_data, %L::pg_catalog.text
        from (
        %s
        ) e',
            i_event_table, i_table_name, i_source));
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
