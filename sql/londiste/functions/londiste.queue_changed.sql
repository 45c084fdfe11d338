create or replace function londiste.queue_changed() returns trigger
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.queue_changed(0)
--     Trigger on pgq.queue: has all backends look again what capture has to know of the queue (londiste.capture_ready), by a change
--     to the definition of the queue's parent event table that changes nothing. Nobody writes to that table, and the lock is one
--     that lets readers pass.
-- ----------------------------------------------------------------------
begin
    if to_regclass(new.queue_data_pfx) is not null then
        execute format('alter table %s alter column ev_id set statistics -1', to_regclass(new.queue_data_pfx));
    end if;
    return null;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
