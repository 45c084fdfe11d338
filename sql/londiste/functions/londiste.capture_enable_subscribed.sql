create or replace function londiste.capture_enable_subscribed(i_table_name text) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_enable_subscribed(1)
--     Sets the capture triggers of a subscribed table, in the middle of a chain, to fire always: also for changes that replay
--     writes with session_replication_role = replica. Does nothing for a table that is not captured.
-- Parameters: i_table_name - name of the table as in londiste.subscriber_table
-- Warns: 01L01 when a privilege is missing; then no trigger is changed
-- Writes: londiste.capture_relation
-- Locks: as londiste.capture_hold and londiste.capture_enable
-- ----------------------------------------------------------------------
declare
    v_capture record;
    v_intact int[];
begin
    for v_capture in
        select distinct r.queue_name, r.table_name, r.table_oid
        from londiste.capture_tree(londiste.find_table_oid(i_table_name)) t(relation)
        join londiste.capture_relation r on r.table_oid = t.relation and coalesce(r.made_in = (select londiste.catalog_id()), true)
    loop
        -- What somebody has done to the triggers is left for maintenance to find.
        perform londiste.capture_hold(c, v_capture.table_oid, array(select londiste.capture_relations(v_capture.table_oid)), false)
        from londiste.capture c
        where c.queue_name = v_capture.queue_name and c.table_name = v_capture.table_name;
        v_intact := array(select r.nr
                          from londiste.capture_relation r
                          where r.queue_name = v_capture.queue_name and r.table_name = v_capture.table_name
                            and r.triggers = londiste.capture_made(r.queue_name, r.table_name, r.relation));
        perform londiste.capture_enable(v_capture.queue_name, v_capture.table_name, v_capture.table_oid);
        update londiste.capture_relation r
        set triggers = londiste.capture_made(r.queue_name, r.table_name, r.relation)
        where r.nr = any (v_intact);
    end loop;
exception
    when insufficient_privilege then
        raise warning using errcode = '01L01', message = sqlerrm;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
