create or replace function londiste.capture_watch_queue() returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_watch_queue(0)
--     Creates the trigger londiste_queue_changed on pgq.queue when schema pgq is rlondiste's and this role owns the table. In
--     the schema of another program there is no such trigger, and capture looks the queue up each time: readers of that schema
--     may not look for events that were written, just after a rotation, into the event table that was current before.
-- Locks: pgq.queue in share row exclusive mode until the end of the transaction, when the trigger is created
-- ----------------------------------------------------------------------
begin
    if to_regprocedure('pgq.rlondiste_version()') is not null
        and not exists (select 1 from pg_trigger t
                        where t.tgrelid = 'pgq.queue'::regclass and t.tgname = 'londiste_queue_changed')
        and pg_has_role((select c.relowner from pg_class c where c.oid = 'pgq.queue'::regclass), 'usage')
    then
        -- A limit is at least 1.
        perform londiste.run_ddl(
            'create trigger londiste_queue_changed after update on pgq.queue'
            ' for each row when (old.queue_cur_table operator(pg_catalog.<>) new.queue_cur_table'
            '                    or old.queue_disable_insert operator(pg_catalog.<>) new.queue_disable_insert'
            '                    or coalesce(old.queue_per_tx_limit, 0) operator(pg_catalog.<>) coalesce(new.queue_per_tx_limit, 0)'
            '                    or old.queue_ntables operator(pg_catalog.<>) new.queue_ntables)'
            ' execute procedure londiste.queue_changed()');
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
