create or replace function londiste.capture_insert(i_event_table text, i_table oid, i_source text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_insert(3)
--     The statement that puts events into an event table. Their ids are left to the column's default, the next value of the queue's
--     event sequence: a volatile function in the query would cost a plan node.
-- Parameters:
--     i_event_table - name of the event table
--     i_table       - the captured table
--     i_source      - query with columns ev_type, ev_data, in row order
-- ----------------------------------------------------------------------
select format(
'insert into %s (ev_time, ev_type, ev_data, ev_extra1)
select pg_catalog.now(), e.ev_type, e.ev_data, %L::pg_catalog.text
from (
%s
) e',
    i_event_table, n.nspname || '.' || c.relname, i_source)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = i_table;
$$ language sql stable set search_path = pg_catalog, pg_temp;
