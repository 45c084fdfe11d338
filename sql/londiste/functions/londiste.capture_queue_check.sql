create or replace function londiste.capture_queue_check(i_queue_id int, i_event_table int) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_queue_check(2)
--     The condition under which events may go straight into an event table: it is the current one, and neither inserts are
--     disabled nor is their number per transaction limited. Schemas of PgQ 2.1 do not know the latter two.
-- ----------------------------------------------------------------------
begin
    return format('(select q.queue_cur_table = %s%s from pgq.queue q where q.queue_id = %s)', i_event_table,
              (select string_agg(case a.attname when 'queue_disable_insert' then ' and not q.queue_disable_insert'
                                                else ' and q.queue_per_tx_limit is null' end, '' order by a.attname)
               from pg_attribute a
               where a.attrelid = 'pgq.queue'::regclass
                 and a.attname in ('queue_disable_insert', 'queue_per_tx_limit')
                 and not a.attisdropped),
              i_queue_id);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
