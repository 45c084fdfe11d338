create or replace function londiste.capture_insert(i_queue_id int, i_event_table int, i_source text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_insert(3)
--     The statement that puts events into an event table. It inserts nothing when that table is not the current one, or when
--     the queue has a rule that only londiste.capture_current_table knows to follow.
-- Parameters:
--     i_queue_id    - queue
--     i_event_table - number of the event table, 0 and up
--     i_source      - query with columns ev_type, ev_data, ev_extra1
-- ----------------------------------------------------------------------
begin
    return (select format(
'insert into %s (ev_id, ev_time, ev_type, ev_data, ev_extra1)
select nextval(%L), now(), e.ev_type, e.ev_data, e.ev_extra1
from (
%s
) e
where %s',
    q.queue_data_pfx || '_' || i_event_table, q.queue_event_seq, i_source, londiste.capture_queue_check(q.queue_id, i_event_table))
from pgq.queue q
where q.queue_id = i_queue_id);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
