create or replace function londiste.subscriber_restore_table_fkey(i_from_table text, i_fkey_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_restore_table_fkey(2)
--     Makes a dropped foreign key again. One that somebody has made by hand meanwhile is left as it is.
--
--     Definitions that Londiste 2.1 stored hold unqualified names, so they are executed with the caller's search_path.
-- Parameters:
--     i_from_table - unquoted name of the referencing table
--     i_fkey_name  - unquoted name of the constraint
-- Returns: 1, or 0 when nothing is remembered under that name
-- Writes: londiste.subscriber_pending_fkeys
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
    -- By table and name: other tables may have a foreign key of the same name waiting.
    delete from londiste.subscriber_pending_fkeys p
    where p.from_table = v_from_table
      and p.fkey_name = i_fkey_name;
    return 1;
end;
$$ language plpgsql;
