create or replace function pgq.insert_event_raw(
    queue_name text, ev_id bigint, ev_time timestamptz, ev_owner integer, ev_retry integer,
    ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
-- ----------------------------------------------------------------------
-- Function: pgq.insert_event_raw(11)
--     Puts an event into a queue, every field given. pgq.insert_event(7), and so the generic triggers, retried and failed
--     events come through here; generated capture functions do not.
--
--     Takes no lock that anybody waits for: it reads the queue's row as of the statement's snapshot and inserts into
--     the table which that row names. A rotation in between does no harm: the reader looks for stragglers in the
--     older tables (pgq.batch_event_tables), and a table with unread rows is not truncated.
-- Parameters:
--     queue_name   - name of the queue
--     ev_id        - id of the event, or null for the next one
--     ev_time      - time of the event, or null for now
--     ev_owner     - subscription that alone is to see the event, or null
--     ev_retry     - retry count, or null
--     ev_type, ev_data, ev_extra1..4 - content
-- Returns:
--     the event's id
-- Writes:
--     the current event table of the queue. The id sequence advances also when ev_id is given: by its movement the
--     ticker sees that there are events
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_next_id   bigint;
begin
    select q.queue_data_pfx, q.queue_cur_table, q.queue_event_seq, q.queue_disable_insert,
           q.queue_per_tx_limit, q.queue_id
    into v_queue
    from pgq.queue q
    where q.queue_name = insert_event_raw.queue_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'No such queue',
            detail = pg_catalog.format('Queue: %s', coalesce(queue_name, 'null')),
            hint = 'Create it with pgq.create_queue()'
                   || coalesce((select ', or end what writes to it: ' || pg_catalog.string_agg(t.remedy, '; ')
                                from pgq._queue_triggers(queue_name) t), '') || '.';
    end if;
    if v_queue.queue_disable_insert
       and pg_catalog.current_setting('session_replication_role') <> 'replica' then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'Insert into queue disallowed',
            detail = pg_catalog.format('Queue: %s', queue_name),
            hint = 'queue_disable_insert is set for this queue in pgq.queue.';
    end if;
    if v_queue.queue_per_tx_limit is not null then
        perform pgq._count_tx_events(v_queue.queue_id, queue_name, v_queue.queue_per_tx_limit, 1);
    end if;

    v_next_id := pg_catalog.nextval(v_queue.queue_event_seq::regclass);
    v_next_id := coalesce(ev_id, v_next_id);
    execute pg_catalog.format(
        'insert into %s (ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data,'
        ' ev_extra1, ev_extra2, ev_extra3, ev_extra4) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
        (v_queue.queue_data_pfx || '_' || v_queue.queue_cur_table::text)::regclass)
    using v_next_id, coalesce(ev_time, pg_catalog.now()), ev_owner, ev_retry,
          ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4;
    return v_next_id;
end;
$$ language plpgsql;
