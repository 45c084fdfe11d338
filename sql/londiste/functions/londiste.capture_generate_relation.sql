create or replace function londiste.capture_generate_relation(i_capture londiste.capture, i_table oid, i_relation oid) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_generate_relation(3)
--     Makes the capture functions and triggers of one relation, unless those that are there fit.
-- Parameters:
--     i_table, i_relation - the captured table, and the table itself or a partition of it
-- Returns: true when something was made
-- ----------------------------------------------------------------------
declare
    v_plan text;
    v_number int;
    v_stored_plan text;
begin
    select concat_ws(' ', 'generator', londiste.capture_generator(), 'queue', q.queue_id, q.queue_ntables, c.relations, c.is_watched, 'capture',
                     i_capture.capture, i_capture.event_format, i_capture.ignored_columns,
                     londiste.capture_levels(i_capture, i_table), londiste.capture_enabled(i_capture.table_name), 'table',
                     i_table, i_relation, londiste.capture_plan(i_table, i_relation, i_capture.key_columns))
    into v_plan
    from pgq.queue q
    cross join lateral londiste.capture_queue(q.queue_id) c
    where q.queue_name = i_capture.queue_name;

    select r.nr, r.plan into v_number, v_stored_plan
    from londiste.capture_relation r
    where r.queue_name = i_capture.queue_name and r.table_name = i_capture.table_name and r.relation = i_relation;
    if v_stored_plan = v_plan and not exists (
        select 1
        from londiste.capture_objects(i_capture, i_table, i_relation) o
        left join pg_trigger t on t.tgrelid = i_relation and t.tgname = o.trigger_name
        where t.tgenabled is distinct from londiste.capture_enabled(i_capture.table_name))
    then
        return false;
    end if;

    if v_number is null then
        insert into londiste.capture_relation (queue_name, table_name, table_oid, relation, plan)
        values (i_capture.queue_name, i_capture.table_name, i_table, i_relation, v_plan)
        returning nr into v_number;
    end if;
    update londiste.capture_relation r
    set plan = v_plan, table_oid = i_table
    where r.nr = v_number;

    perform londiste.capture_create(v_number, i_capture, i_table, i_relation);
    return true;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
