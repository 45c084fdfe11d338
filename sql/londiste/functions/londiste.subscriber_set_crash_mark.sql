create or replace function londiste.subscriber_set_crash_mark(i_queue_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_set_crash_mark(1)
--     Notes that no crash of this server has emptied the unlogged tables of the queue since now; see
--     londiste.subscriber_get_emptied_tables. The caller has seen to those that one has emptied before.
-- Returns: 1, or 0 when the mark is there already
-- Writes: londiste.crash_mark, londiste.crash_mark_set
-- ----------------------------------------------------------------------
begin
    insert into londiste.crash_mark_set (queue_name)
    values (i_queue_name)
    on conflict do nothing;
    insert into londiste.crash_mark (queue_name)
    values (i_queue_name)
    on conflict do nothing;
    return case when found then 1 else 0 end;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
