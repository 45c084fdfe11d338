create or replace function londiste.trigger_queue(i_trigger oid) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.trigger_queue(1)
--     Returns the queue that a trigger of PgQ (pgq.logtriga, sqltriga, logutriga, jsontriga) writes to: the trigger's first
--     argument.
-- Parameters: i_trigger - pg_trigger.oid
-- Returns: name of the queue, or null when the trigger calls another function
-- ----------------------------------------------------------------------
begin
    return (
        select convert_from(substring(t.tgargs from 1 for position(E'\\000'::bytea in t.tgargs) - 1), getdatabaseencoding())
        from pg_trigger t
        join pg_proc p on p.oid = t.tgfoid
        join pg_namespace n on n.oid = p.pronamespace
        where t.oid = i_trigger
          and n.nspname = 'pgq'
          and p.proname in ('logtriga', 'sqltriga', 'logutriga', 'jsontriga')
          and t.tgnargs > 0);
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
