create or replace function londiste.subscriber_drop_table_fkey(i_from_table text, i_fkey_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_drop_table_fkey(2)
--     Drops a foreign key and stores the statement that creates it again. A foreign key may be dropped again after it was
--     restored as not valid and before it was validated: a stored statement that differs only by NOT VALID is kept.
-- Parameters:
--     i_from_table - unquoted name of the referencing table
--     i_fkey_name  - unquoted name of the constraint
-- Returns: 1, or 0 when there is no such foreign key
-- Writes: londiste.subscriber_pending_fkeys
-- Locks: both tables in access exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_from_table text := londiste.full_name(i_from_table);
    v_fkey londiste.subscriber_pending_fkeys;
begin
    select f.*
    into v_fkey
    from londiste.find_table_fkeys(v_from_table) f
    where f.fkey_name = i_fkey_name
      and londiste.find_table_oid(f.from_table) = londiste.find_table_oid(v_from_table);
    if not found then
        return 0;
    end if;

    insert into londiste.subscriber_pending_fkeys as p
    values (v_fkey.*)
    on conflict (from_table, fkey_name) do update
    set to_table = excluded.to_table,
        fkey_def = case when replace(excluded.fkey_def, ' NOT VALID', '') = p.fkey_def then p.fkey_def else excluded.fkey_def end;
    perform londiste.run_ddl(format('alter table %s drop constraint %I', londiste.quote_fqname(v_fkey.from_table), v_fkey.fkey_name));
    return 1;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
