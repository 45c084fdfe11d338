create or replace function londiste.capture_drop_classic(i_queue_name text, i_table oid) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_drop_classic(2)
--     Drops the triggers of a table that call a trigger function of PgQ with this queue. The original tools create such
--     triggers.
-- Locks: the table in access exclusive mode until the end of the transaction, when there is such a trigger
-- ----------------------------------------------------------------------
declare
    v_name text;
begin
    for v_name in
        select t.tgname
        from pg_trigger t
        where t.tgrelid = i_table and not t.tgisinternal and londiste.trigger_queue(t.oid) = i_queue_name
    loop
        perform londiste.run_ddl(format('drop trigger %I on %s', v_name, i_table::regclass));
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
