create or replace function londiste.subscriber_restore_table_fkey(i_from_table text, i_fkey_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_restore_table_fkey(2)
--     Creates a dropped foreign key again. When the table has a constraint of this name, only the stored statement is deleted.
--
--     The statement is executed with the caller's search_path and rights: statements that Londiste 2.1 stored have unqualified
--     names.
-- Parameters:
--     i_from_table - unquoted name of the referencing table
--     i_fkey_name  - unquoted name of the constraint
-- Returns: 1, or 0 when no such foreign key is stored
-- Raises: any error of the statement, such as foreign_key_violation
-- Writes: londiste.subscriber_pending_fkeys
-- Locks: both tables in share row exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_from_table text := londiste.full_name(i_from_table);
    v_fkey londiste.subscriber_pending_fkeys;
begin
    select p.*
    into v_fkey
    from londiste.subscriber_pending_fkeys p
    where p.from_table = v_from_table
      and p.fkey_name = i_fkey_name;
    if not found then
        return 0;
    end if;

    if not exists (select 1
                   from pg_catalog.pg_constraint c
                   where c.conrelid = londiste.find_table_oid(v_from_table)
                     and c.conname = i_fkey_name) then
        execute v_fkey.fkey_def;
    end if;
    -- By table and name: another table may have a stored foreign key of the same name.
    delete from londiste.subscriber_pending_fkeys p
    where p.from_table = v_from_table
      and p.fkey_name = i_fkey_name;
    return 1;
end;
$$ language plpgsql;
