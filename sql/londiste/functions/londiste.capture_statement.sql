create or replace function londiste.capture_statement(
    i_queue_name text, i_table_name text, i_relation oid, i_operation text, i_level text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_statement(5)
--     Returns a statement that inserts the events of a capture function, made for the table as it is at this moment. A capture
--     function executes it when the function no longer fits the table (the generic way): after DDL no column is lost and no
--     writer is stopped, but writes are slower until the functions are generated anew.
-- Parameters:
--     i_relation  - relation whose trigger has fired
--     i_operation - i, u, d or t
--     i_level     - as for londiste.capture_event_source
-- Raises: undefined_object when the queue does not exist
-- ----------------------------------------------------------------------
declare
    v_capture londiste.capture;
    v_queue record;
    v_table oid;
    v_is_special boolean;
    v_more text;
    v_source text;
begin
    select c.* into v_capture
    from londiste.capture c
    where c.queue_name = i_queue_name and c.table_name = i_table_name;
    if not found then
        -- The triggers belong to a table that is no longer in the set, for instance in a restored dump.
        return 'select 1';
    end if;
    if to_regclass('pgq.queue') is not null then
        select q.* into v_queue from pgq.queue q where q.queue_name = i_queue_name;
    end if;
    if to_regclass('pgq.queue') is null or not found then
        raise exception using
            errcode = 'undefined_object',
            message = format('cannot capture changes of table %s: queue "%s" does not exist', i_table_name, i_queue_name),
            hint = format('Create the queue again, or take the table out of its set: select londiste.provider_remove_table(%L, %L)',
                          i_queue_name, i_table_name);
    end if;

    v_table := londiste.capture_root(i_queue_name, i_table_name, i_relation);
    v_is_special := (select q.is_special from londiste.capture_queue(v_queue.queue_id) q);
    v_more := case when v_is_special then '' else londiste.capture_constants(i_table_name) end;
    v_source := case when i_operation = 't' then format('select %s%s', londiste.capture_truncate(v_capture, v_table), v_more)
                     else londiste.capture_event_source(v_capture, londiste.capture_shape(v_capture, v_table, i_relation),
                                                        i_operation, i_level, v_more)
                end;
    if v_is_special then
        -- pgq.insert_event() refuses or counts the events.
        return format('select pgq.insert_event(%L, e.ev_type, e.ev_data, %L, null, null, null) from (%s) e',
                      i_queue_name, i_table_name, v_source);
    end if;
    return londiste.capture_insert(v_queue.queue_data_pfx || '_' || v_queue.queue_cur_table, v_source);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
