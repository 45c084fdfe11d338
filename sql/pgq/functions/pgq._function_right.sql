create or replace function pgq._function_right(i_name name)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._function_right(1)
--     Tells which right a function of schema pgq belongs to. What is not named here belongs to "admin".
-- Parameters:
--     i_name - name of the function, without the schema
-- Returns:
--     everybody - every role may call the function
--     reader    - consume: register, batches, retried and failed events
--     writer    - put events into queues, attach queue triggers to tables
--     admin     - create, drop and configure queues, tick, rotate
-- ----------------------------------------------------------------------
begin
    return case
        when i_name in (
            'get_consumer_info', 'get_queue_info', 'quote_fqname', 'rlondiste_version', 'rotation_blockers', 'seq_getval',
            'tick_blockers', 'version') then 'everybody'
        when i_name in (
            '_has_events_since', '_may_read', 'batch_event_sql', 'batch_event_tables', 'batch_retry', 'event_failed',
            'event_retry', 'failed_event_count', 'failed_event_delete', 'failed_event_list', 'failed_event_retry',
            'find_tick_helper', 'finish_batch', 'force_tick', 'get_batch_cursor', 'get_batch_events', 'get_batch_info',
            'next_batch', 'next_batch_custom', 'next_batch_events', 'next_batch_info', 'register_consumer',
            'register_consumer_at', 'unregister_consumer') then 'reader'
        when i_name in (
            '_may_write', 'current_event_table', 'insert_event', 'jsontriga', 'logtriga', 'logutriga', 'sqltriga') then 'writer'
        else 'admin'
    end;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
