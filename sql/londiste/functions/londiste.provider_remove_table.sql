create or replace function londiste.provider_remove_table(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_remove_table(2)
--     Takes a table out of a queue's set and drops its capture triggers and functions. The table may have been dropped already.
-- Returns: 1
-- Raises: object_not_in_prerequisite_state for a linked queue; undefined_object when the table is not in the set
-- Writes: londiste.provider_table and the rows of londiste.capture and capture_relation that belong to it; drops triggers and
--     functions
-- Locks: the table and its partitions in access exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
    v_relation oid;
begin
    if londiste.link_source(i_queue_name) is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'Linked queue, manipulation not allowed',
            detail = format('Queue "%s" repeats queue "%s".', i_queue_name, londiste.link_source(i_queue_name));
    end if;

    perform 1
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
    perform londiste.capture_drop_classic(i_queue_name, londiste.find_table_oid(v_table_name));

    delete from londiste.provider_table t
    where t.queue_name = i_queue_name and t.table_name = v_table_name;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
