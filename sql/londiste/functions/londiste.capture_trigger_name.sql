create or replace function londiste.capture_trigger_name(i_queue_name text, i_table_name text, i_table oid) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_trigger_name(3)
--     Returns the name under which a table's capture triggers are created: the name that they have already, else the classic
--     name (see londiste.trigger_name), else a name with the queue's id in it.
--
--     A name is not used when a trigger that does not belong to this table and queue has the name, or a name made from it, on
--     the table, on one of its partitions or on a table above it. The classic name is not used when the queue's name had to be
--     cut, either. So two queues with any names can capture one table, and a user's trigger is never replaced.
-- ----------------------------------------------------------------------
declare
    v_queue_id int := (select q.queue_id from pgq.queue q where q.queue_name = i_queue_name);
    v_stored text := (select t.trigger_name from londiste.provider_table t
                      where t.queue_name = i_queue_name and t.table_name = i_table_name);
    v_classic record;
    v_name text;
begin
    select * into v_classic from londiste.trigger_name(i_queue_name, '');
    for v_nr in -1 .. 1000
    loop
        if v_nr = -1 then
            v_name := v_stored;
        elsif v_nr = 0 then
            v_name := case when not v_classic.is_cut then v_classic.name end;
        else
            v_name := (londiste.trigger_name(i_queue_name, concat_ws('_', '', v_queue_id, nullif(v_nr, 1)))).name;
        end if;
        continue when v_name is null;
        exit when not exists (
            select 1
            from londiste.capture_tree(i_table) r(relation)
            join pg_trigger t on t.tgrelid = r.relation
            where t.tgname in (v_name, v_name || '_i', v_name || '_u', v_name || '_d', v_name || '_t', '0_' || v_name || '_i',
                               '0_' || v_name || '_u', '0_' || v_name || '_d', '0_' || v_name || '_t')
              and t.oid not in (select c.trigger_oid from londiste.capture_triggers(i_queue_name, i_table_name, r.relation) c));
    end loop;
    return v_name;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
