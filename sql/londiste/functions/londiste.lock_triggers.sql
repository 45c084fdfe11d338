create or replace function londiste.lock_triggers(i_relation oid) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.lock_triggers(1)
--     Locks a table against everybody who would change its triggers, or use them.
-- Returns: true; false without a lock where the role of schema londiste lacks the rights for it (an owner may have taken them
--     from itself) and for a foreign table, which cannot be locked so
-- Locks: the table, without its partitions, in access exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
begin
    if not has_table_privilege(i_relation, 'update, delete, truncate')
       or not exists (select 1 from pg_class c where c.oid = i_relation and c.relkind in ('r', 'p')) then
        return false;
    end if;
    execute format('lock table only %s in access exclusive mode', i_relation::regclass);
    return true;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
