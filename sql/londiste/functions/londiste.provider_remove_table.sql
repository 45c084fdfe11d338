create or replace function londiste.provider_remove_table(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_remove_table(2)
--     Takes a table out of a queue's set and drops its capture triggers and functions. The table may be gone already.
-- Returns: 1
-- Writes: londiste.provider_table and what hangs on it, triggers on the table
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
    v_stored_name text;
    v_relation oid;
begin
    if londiste.link_source(i_queue_name) is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'Linked queue, manipulation not allowed',
            detail = format('Queue "%s" repeats queue "%s".', i_queue_name, londiste.link_source(i_queue_name));
    end if;

    select t.trigger_name into v_stored_name
    from londiste.provider_table t
    where t.queue_name = i_queue_name and t.table_name = v_table_name
    for update;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'no such table registered',
            detail = format('Table %s is not in the set of queue "%s".', v_table_name, i_queue_name);
    end if;

    for v_relation in
        select r.relation
        from londiste.capture_relation r
        where r.queue_name = i_queue_name and r.table_name = v_table_name
    loop
        perform londiste.capture_drop_relation(i_queue_name, v_table_name, v_relation);
    end loop;
    -- The trigger of a table that the original tools added.
    if exists (select 1 from pg_trigger t
               where t.tgrelid = londiste.find_table_oid(v_table_name) and t.tgname = v_stored_name) then
        execute format('drop trigger %I on %s', v_stored_name, londiste.quote_fqname(v_table_name));
    end if;

    delete from londiste.provider_table t
    where t.queue_name = i_queue_name and t.table_name = v_table_name;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
