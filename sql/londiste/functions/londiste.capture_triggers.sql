create or replace function londiste.capture_triggers(i_queue_name text, i_table_name text, i_relation oid)
returns table (trigger_oid oid, function_name text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_triggers(3)
--     Returns the triggers on a relation that call the generated capture functions of a captured table, whatever their names:
--     the triggers that were created on the relation, and on a partition also the copies that the server made of the table's
--     row triggers.
-- Parameters:
--     i_queue_name, i_table_name - the captured table
--     i_relation                 - any table
-- ----------------------------------------------------------------------
begin
    return query
    select t.oid, p.proname::text
    from pg_trigger t
    join pg_proc p on p.oid = t.tgfoid
    join londiste.capture_relation r on r.nr = substring(p.proname from '^capture_([0-9]+)_[a-z]$')::int
    where t.tgrelid = i_relation
      and p.pronamespace = 'londiste'::regnamespace
      and r.queue_name = i_queue_name
      and r.table_name = i_table_name;
end;
$$ language plpgsql stable rows 4 set search_path = pg_catalog, pg_temp;
