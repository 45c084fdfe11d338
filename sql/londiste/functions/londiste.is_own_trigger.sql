create or replace function londiste.is_own_trigger(i_trigger oid) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.is_own_trigger(1)
--     Tells whether a trigger is replication's own or the user's, by the function that the trigger calls, never by the
--     trigger's name.
-- Parameters: i_trigger - pg_trigger.oid
-- Returns: true for a trigger that calls a generated capture function, of any queue, and for a trigger that calls a trigger
--     function of PgQ with a queue whose set has the table (the original tools create such triggers), and for the trigger of the
--     fence
-- ----------------------------------------------------------------------
begin
    return exists (
        select 1
        from pg_trigger t
        join pg_proc p on p.oid = t.tgfoid
        join pg_namespace n on n.oid = p.pronamespace
        where t.oid = i_trigger
          and (n.nspname = 'londiste' and p.proname ~ '^(capture_[0-9]+_[a-z]|fence)$'
        or n.nspname = 'pgq'
            and exists (select 1
                        from londiste.provider_table x
                        join pg_class c on c.oid = t.tgrelid
                        join pg_namespace s on s.oid = c.relnamespace
                        where x.queue_name = londiste.trigger_queue(t.oid)
                          and x.table_name = s.nspname || '.' || c.relname)));
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
