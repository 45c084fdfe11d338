create or replace function londiste.provider_notify_again(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_notify_again(2)
--     Has the subscribers copy a table again, because changes of the table have not become events. Writes an event T with the
--     tables of the set except this one, as after "provider remove". A subscriber reads the event, finds the table in the
--     provider's set all the same, concludes that the table was removed and added again, and copies it. A subscriber of the
--     original tools takes the table out of its own set.
--
--     The caller has repaired the capture of the table in the same transaction: the copy begins after the end of that
--     transaction.
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
