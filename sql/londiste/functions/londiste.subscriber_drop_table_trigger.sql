create or replace function londiste.subscriber_drop_table_trigger(i_table_name text, i_trigger_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_drop_table_trigger(2)
--     Drops a user's trigger and stores the statements that create it again. Never drops replication's own triggers.
-- Parameters: i_trigger_name - unquoted name
-- Returns: 1, or 0 when the table has no such trigger
-- Writes: londiste.subscriber_pending_triggers
-- Locks: the table in access exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_trig londiste.subscriber_pending_triggers;
begin
    select t.*
    into v_trig
    from londiste.find_table_triggers(i_table_name) t
    where t.trigger_name = i_trigger_name;
    if not found then
        return 0;
    end if;

    insert into londiste.subscriber_pending_triggers as p
    values (v_trig.*)
    on conflict (table_name, trigger_name) do update
    set trigger_def = excluded.trigger_def;
    perform londiste.run_ddl(format('drop trigger %I on %s', i_trigger_name, londiste.quote_fqname(i_table_name)));
    return 1;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
