create or replace function londiste.provider_notify_again(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_notify_again(2)
--     Has the subscribers copy a table again, because changes of it have not become events: event T with the tables of the set without
--     this one, as after "provider remove". The table is in the set when a subscriber reads that, so it was removed and added again, and
--     the subscriber copies it. A subscriber of the original tools takes the table out of its own set.
--     The caller has made the capture of the table right in the same transaction: the copy begins after its end.
-- Returns: 1
-- Writes: one event
-- ----------------------------------------------------------------------
declare
    v_table_list text;
begin
    select string_agg(t.table_name, ',' order by t.nr)
    into v_table_list
    from londiste.provider_table t
    where t.queue_name = i_queue_name and t.table_name <> i_table_name;

    perform pgq.insert_event(i_queue_name, 'T', coalesce(v_table_list, ''));
    return 1;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
