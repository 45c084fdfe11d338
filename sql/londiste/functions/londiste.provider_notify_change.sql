create or replace function londiste.provider_notify_change(i_queue_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_notify_change(1)
--     Tells the subscribers which tables are in the set now, by an event T with a comma-separated list. A subscriber drops the
--     tables that are not listed.
-- Returns: 1
-- Writes: one event
-- ----------------------------------------------------------------------
declare
    v_table_list text;
begin
    select string_agg(t.table_name, ',' order by t.nr)
    into v_table_list
    from londiste.provider_table t
    where t.queue_name = i_queue_name;

    perform pgq.insert_event(i_queue_name, 'T', coalesce(v_table_list, ''));
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
