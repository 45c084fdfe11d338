create or replace function londiste.capture_hold(i_capture londiste.capture, i_table oid, i_relations oid[], i_all boolean)
returns oid[]
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_hold(4)
--     Locks the relations of a captured table whose triggers are about to be dropped or enabled. What was done to those triggers
--     before can be looked for afterwards, and nothing more comes to it.
--
--     A trigger of a partitioned table stands on its partitions too, so these are held with the table. The table comes first, as
--     for those who write through it.
-- Parameters:
--     i_relations - the relations that are captured
--     i_all       - hold all of them, whatever their triggers
-- Returns: the relations that are locked
-- Locks: as londiste.lock_triggers
-- ----------------------------------------------------------------------
declare
    v_enabled "char" := londiste.capture_enabled(i_table);
    v_all boolean := i_all
        or exists (select londiste.capture_misfits(i_capture, i_table, i_table))
        or exists (select 1
                   from londiste.capture_tree(i_table) r(relation)
                   cross join lateral londiste.capture_triggers(i_capture.queue_name, i_capture.table_name, r.relation) c
                   join pg_trigger t on t.oid = c.trigger_oid
                   where t.tgenabled <> v_enabled);
    v_relation oid;
    v_held oid[] := '{}';
begin
    for v_relation in
        select r.oid
        from unnest(i_relations) r(oid)
        where v_all or exists (select londiste.capture_misfits(i_capture, i_table, r.oid))
        order by r.oid = i_table desc, r.oid
    loop
        if londiste.lock_triggers(v_relation) then
            v_held := v_held || v_relation;
        end if;
    end loop;
    return v_held;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
