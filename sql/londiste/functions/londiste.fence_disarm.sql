create or replace function londiste.fence_disarm(i_relation oid) returns integer
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_disarm(1)
--     Drops the trigger of the fence from one table, without its partitions and heirs. The caller limits the wait for the lock
--     (lock_timeout).
-- Returns: 0 - the table has no such trigger or is gone, 1 - dropped
-- Locks: the table in access exclusive mode until the end of the transaction, if it has such a trigger
-- ----------------------------------------------------------------------
declare
    v_name      text;
    v_relation  text;
    v_dropped   integer := 0;
begin
    for v_name, v_relation in
        select t.tgname, format('%I.%I', n.nspname, c.relname)
        from pg_trigger t
        join pg_class c on c.oid = t.tgrelid
        join pg_namespace n on n.oid = c.relnamespace
        where t.tgrelid = i_relation and t.tgfoid = 'londiste.fence()'::regprocedure
    loop
        perform londiste.run_ddl(format('drop trigger %I on %s', v_name, v_relation));
        v_dropped := 1;
    end loop;
    return v_dropped;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
