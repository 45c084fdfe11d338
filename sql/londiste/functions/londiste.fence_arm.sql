create or replace function londiste.fence_arm(i_relation oid) returns integer
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_arm(1)
--     Makes the trigger of the fence on one table, without its partitions and heirs. The caller limits the wait for the lock
--     (lock_timeout), and arms one table in a transaction: a transaction that held several locks could deadlock with writers.
-- Returns: 0 - the table is armed or is gone, 1 - armed
-- Locks: the table in share row exclusive mode until the end of the transaction; of a table whose trigger somebody has changed, in
--     access exclusive mode
-- ----------------------------------------------------------------------
declare
    v_name text := (select format('%I.%I', n.nspname, c.relname)
                    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = i_relation);
begin
    if v_name is null or londiste.fence_is_armed(i_relation) then
        return 0;
    end if;
    perform londiste.fence_disarm(i_relation);
    perform londiste.run_ddl(format('create trigger %I before insert or update or delete or truncate on %s '
        || 'for each statement execute procedure londiste.fence()', londiste.fence_trigger_name(), v_name));
    perform londiste.run_ddl(format('alter table only %s enable always trigger %I', v_name, londiste.fence_trigger_name()));
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
