create or replace function londiste.capture_drop_relation(i_queue_name text, i_table_name text, i_relation oid) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_drop_relation(3)
--     Drops the capture functions of a relation and the triggers that use them.
-- Writes: londiste.capture_relation
-- Locks: the tables of the triggers, and their partitions, in access exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_number int;
    v_func record;
    v_trig record;
begin
    delete from londiste.capture_relation r
    where r.queue_name = i_queue_name and r.table_name = i_table_name and r.relation = i_relation
    returning nr into v_number;

    for v_func in
        select p.oid, p.proname
        from londiste.capture_functions(v_number) f(oid)
        join pg_proc p on p.oid = f.oid
        where p.prorettype = 'trigger'::regtype
    loop
        for v_trig in
            select t.tgname, t.tgrelid
            from pg_trigger t
            where t.tgfoid = v_func.oid
              -- The server drops the copy on a partition together with the trigger of the table.
              and not exists (select 1
                              from pg_inherits h
                              join pg_trigger p on p.tgrelid = h.inhparent
                              where h.inhrelid = t.tgrelid and p.tgfoid = t.tgfoid and p.tgname = t.tgname)
        loop
            perform londiste.drop_trigger(v_trig.tgrelid, v_trig.tgname);
        end loop;
        perform londiste.run_ddl(format('drop function londiste.%I()', v_func.proname));
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
