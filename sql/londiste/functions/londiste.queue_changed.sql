create or replace function londiste.queue_changed() returns trigger
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.queue_changed(0)
--     Trigger on pgq.queue. Has every session that captures into the queue run londiste.capture_ready again, by an alter table
--     on the queue's parent event table that changes nothing.
-- Locks: the parent event table in share update exclusive mode until the end of the transaction; readers do not wait for that
--     lock, and nobody writes to that table
-- ----------------------------------------------------------------------
begin
    if to_regclass(new.queue_data_pfx) is not null then
        perform londiste.run_ddl(format('alter table %s alter column ev_id set statistics -1', to_regclass(new.queue_data_pfx)));
    end if;
    return null;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
