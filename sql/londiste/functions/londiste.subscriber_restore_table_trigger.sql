create or replace function londiste.subscriber_restore_table_trigger(i_table_name text, i_trigger_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_restore_table_trigger(2)
--     Creates a dropped trigger again. When the table has a trigger of this name, only the stored statement is deleted.
--
--     The statement is executed with the caller's search_path and rights: statements that Londiste 2.1 stored may have
--     unqualified names.
-- Parameters: i_trigger_name - unquoted name
-- Returns: 1, or 0 when no such trigger is stored
-- Raises: any error of the statement
-- Writes: londiste.subscriber_pending_triggers
-- Locks: the table in share row exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
    v_trig londiste.subscriber_pending_triggers;
begin
    select p.*
    into v_trig
    from londiste.subscriber_pending_triggers p
    where p.table_name = v_table_name
      and p.trigger_name = i_trigger_name;
    if not found then
        return 0;
    end if;

    if not exists (select 1
                   from pg_catalog.pg_trigger t
                   where t.tgrelid = londiste.find_table_oid(v_table_name)
                     and t.tgname = i_trigger_name) then
        execute v_trig.trigger_def;
    end if;
    delete from londiste.subscriber_pending_triggers p
    where p.table_name = v_table_name
      and p.trigger_name = i_trigger_name;
    return 1;
end;
$$ language plpgsql;
