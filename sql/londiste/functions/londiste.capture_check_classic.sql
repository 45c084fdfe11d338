create or replace function londiste.capture_check_classic(
    i_queue_name text, i_table_name text,
    out table_oid oid, out trigger_name text, out loss text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_check_classic(2)
--     Tells for a table that the original tools added what londiste.capture_check tells for a captured table. Such a table has
--     one row trigger, which calls a trigger function of PgQ. A trigger of the stored name that calls a function of the user's
--     own counts as the capture trigger too.
-- Returns:
--     table_oid    - the table; null: there is none
--     trigger_name - the trigger; null: there is none
--     loss         - why changes may be missing, so that subscribers have to copy the table again; null: none are missing
-- ----------------------------------------------------------------------
declare
    v_stored_name text;
    v_trigger record;
begin
    table_oid := londiste.find_table_oid(i_table_name);
    select t.trigger_name into v_stored_name
    from londiste.provider_table t
    where t.queue_name = i_queue_name and t.table_name = i_table_name;
    if v_stored_name is null or table_oid is null then
        -- Without a stored name no trigger captures the table: another program writes the events.
        return;
    end if;

    select t.tgname, t.tgenabled into v_trigger
    from pg_trigger t
    where t.tgrelid = table_oid
      and not t.tgisinternal
      and (londiste.trigger_queue(t.oid) = i_queue_name
           or t.tgname = v_stored_name and londiste.trigger_queue(t.oid) is null and not londiste.is_own_trigger(t.oid))
    order by londiste.trigger_queue(t.oid) = i_queue_name desc nulls last, t.tgenabled in ('O', 'A') desc
    limit 1;
    trigger_name := v_trigger.tgname;
    if v_trigger.tgname is null then
        loss := 'it has no capture trigger';
    elsif v_trigger.tgenabled not in ('O', 'A') then
        loss := 'its capture trigger was disabled';
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
