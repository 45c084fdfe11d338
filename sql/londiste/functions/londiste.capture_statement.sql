create or replace function londiste.capture_statement(i_queue_name text, i_table_name text, i_relation oid, i_operation text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_statement(4)
--     The statement with which a capture function takes its events now, made for the table as it is at this moment. Capture
--     functions execute it when they find that they no longer fit: DDL never loses a column and never stops a writer, it makes
--     writes slower until the functions are generated again.
--
--     Without a usable key the columns of the former one serve, as far as they exist, else all columns.
-- Parameters:
--     i_relation  - relation whose trigger fired
--     i_operation - i, u, d or t
-- Returns: a statement over the transition tables londiste_old and londiste_new
-- ----------------------------------------------------------------------
declare
    v_cap londiste.capture;
    v_queue record;
    v_table_oid oid;
    v_source text;
begin
    select c.* into v_cap
    from londiste.capture c
    where c.queue_name = i_queue_name and c.table_name = i_table_name;
    if not found then
        -- The triggers of a table that is no longer in the set, for instance in a restored dump.
        return 'select 1';
    end if;

    select q.* into v_queue
    from pgq.queue q
    where q.queue_name = i_queue_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = format('cannot capture changes of table %s: queue "%s" does not exist', i_table_name, i_queue_name),
            hint = format('Create the queue again, or take the table out of its set: select londiste.provider_remove_table(%L, %L).',
                          i_queue_name, i_table_name);
    end if;

    select r.root into v_table_oid
    from londiste.capture_root(i_queue_name, i_table_name, i_relation) r(root);
    v_source := londiste.capture_event_source(v_table_oid, i_relation, i_operation,
                                            londiste.capture_live_key(v_table_oid, i_relation, v_cap.key_columns), v_cap.ignored_columns);

    if coalesce((to_jsonb(v_queue) ->> 'queue_disable_insert')::boolean, false)
        or to_jsonb(v_queue) ->> 'queue_per_tx_limit' is not null
    then
        -- insert_event() knows what these mean.
        return format('select pgq.insert_event(%L, e.ev_type, e.ev_data, e.ev_extra1, null, null, null) from (%s) e',
                      i_queue_name, v_source);
    end if;
    return format('insert into %s (ev_id, ev_time, ev_type, ev_data, ev_extra1) '
                  'select nextval(%L), now(), e.ev_type, e.ev_data, e.ev_extra1 from (%s) e',
                  v_queue.queue_data_pfx || '_' || v_queue.queue_cur_table, v_queue.queue_event_seq, v_source);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
