create or replace function londiste.capture_queue_look(i_queue_id int) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_queue_look(1)
--     Returns the expression that looks up the event table to write to: its number, or -1 when inserts are disabled or limited
--     in number. Schemas of PgQ 2.1 have no columns for the latter.
-- ----------------------------------------------------------------------
begin
    return format('(select case when %s then -1 else q.queue_cur_table end from pgq.queue q'
                  ' where q.queue_id operator(pg_catalog.=) %s)',
                  coalesce((select string_agg(case a.attname when 'queue_disable_insert' then 'q.queue_disable_insert'
                                                             else 'q.queue_per_tx_limit is not null' end,
                                              ' or ' order by a.attname)
                            from pg_attribute a
                            where a.attrelid = 'pgq.queue'::regclass
                              and a.attname in ('queue_disable_insert', 'queue_per_tx_limit')
                              and not a.attisdropped), 'false'),
                  i_queue_id);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
