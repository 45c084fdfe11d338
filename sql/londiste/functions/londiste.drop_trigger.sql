create or replace function londiste.drop_trigger(i_relation oid, i_trigger_name text) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.drop_trigger(2)
--     Drops a trigger.
--
--     "drop trigger" takes two locks, one after the other: access share, then access exclusive. A transaction that has written to
--     the table and now changes its definition waits for the first lock while the second one waits for that transaction: a
--     deadlock, which the server resolves at once, mostly by failing the other transaction. The same happens to a transaction that
--     has read the table and writes to it while share row exclusive becomes access exclusive here. So the strongest lock is
--     taken first, before any other lock on the table: the generator drops triggers before it creates any.
-- Raises: insufficient_privilege
-- Locks: the table in access exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
begin
    -- Where it cannot be locked, the trigger can be dropped all the same.
    perform londiste.lock_triggers(i_relation);
    perform londiste.run_ddl(format('drop trigger %I on %s', i_trigger_name, i_relation::regclass));
exception
    when insufficient_privilege then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('cannot drop trigger %I of table %s: %s', i_trigger_name, i_relation::regclass, sqlerrm),
            detail = format('Role %I does not own this table.', current_user),
            hint = format('Only the owner of the table can drop triggers: grant %I to %I',
                          (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = i_relation), current_user);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
