create or replace function londiste.subscriber_drop_all_table_triggers(i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_drop_all_table_triggers(1)
--     Drops all of the user's triggers of a table and stores the statements that create them again.
-- Returns: 1, or 0 when the table has none
-- Writes, Locks: as londiste.subscriber_drop_table_trigger
-- ----------------------------------------------------------------------
declare
    v_dropped int := 0;
    v_trig text;
begin
    for v_trig in
        select t.trigger_name from londiste.find_table_triggers(i_table_name) t
    loop
        perform londiste.subscriber_drop_table_trigger(i_table_name, v_trig);
        v_dropped := 1;
    end loop;
    return v_dropped;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
