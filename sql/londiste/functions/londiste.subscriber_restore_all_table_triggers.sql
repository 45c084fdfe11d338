create or replace function londiste.subscriber_restore_all_table_triggers(i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_restore_all_table_triggers(1)
--     Creates all dropped triggers of a table again.
-- Returns: 1, or 0 when no trigger is stored
-- Writes, Locks: as londiste.subscriber_restore_table_trigger
-- ----------------------------------------------------------------------
declare
    v_restored int := 0;
    v_trig text;
begin
    for v_trig in
        select t.trigger_name from londiste.subscriber_get_table_pending_triggers(i_table_name) t
    loop
        perform londiste.subscriber_restore_table_trigger(i_table_name, v_trig);
        v_restored := 1;
    end loop;
    return v_restored;
end;
$$ language plpgsql;
