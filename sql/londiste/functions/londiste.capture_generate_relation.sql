create or replace function londiste.capture_generate_relation(i_capture londiste.capture, i_table oid, i_relation oid) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_generate_relation(3)
--     Makes the capture functions and triggers of one relation, unless those that are there fit.
-- Parameters:
--     i_capture  - row of londiste.capture
--     i_table    - the captured table
--     i_relation - the table or one of its partitions
-- Returns: true when something was made
-- ----------------------------------------------------------------------
declare
    v_live_plan text := londiste.capture_plan(i_table, i_relation, i_capture.key_columns);
    v_queue record;
    v_number int;
    v_stored_plan text;
    v_operation text;
begin
    select q.* into v_queue from pgq.queue q where q.queue_name = i_capture.queue_name;

    select r.nr, r.plan into v_number, v_stored_plan
    from londiste.capture_relation r
    where r.queue_name = i_capture.queue_name and r.table_name = i_capture.table_name and r.relation = i_relation;
    if found and v_stored_plan = v_queue.queue_id || ' ' || v_live_plan and londiste.capture_is_installed(v_number, i_capture, i_relation) then
        return false;
    end if;

    if v_number is null then
        insert into londiste.capture_relation (queue_name, table_name, table_oid, relation, plan)
        values (i_capture.queue_name, i_capture.table_name, i_table, i_relation, '')
        returning nr into v_number;
    end if;
    update londiste.capture_relation r
    set plan = v_queue.queue_id || ' ' || v_live_plan,
        table_oid = i_table
    where r.nr = v_number;

    foreach v_operation in array array['i', 'u', 'd', 't'] loop
        execute londiste.capture_function(v_number, i_capture, i_table, i_relation, v_operation);
        execute format('revoke all on function londiste.%I() from public', format('capture_%s_%s', v_number, v_operation));
        perform londiste.capture_create_trigger(v_number, i_capture, i_relation, v_operation);
    end loop;
    return true;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
