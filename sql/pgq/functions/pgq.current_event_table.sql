create or replace function pgq.current_event_table(x_queue_name text)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq.current_event_table(1)
--     Returns the table that takes the queue's new events now. The next rotation makes another table current.
-- Parameters:
--     x_queue_name - name of the queue
-- Returns:
--     schema-qualified name of the table
-- ----------------------------------------------------------------------
declare
    v_table     text;
begin
    select q.queue_data_pfx || '_' || q.queue_cur_table::text into v_table
    from pgq.queue q
    where q.queue_name = x_queue_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'Event queue not found',
            detail = format('Queue: %s', coalesce(x_queue_name, 'null'));
    end if;
    return v_table;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
