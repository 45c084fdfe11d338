create or replace function londiste.capture_common_plan(i_capture londiste.capture, i_table oid) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_common_plan(2)
--     Returns everything that the functions and triggers of all relations of a captured table depend on, as one text: the
--     generator, the queue, how the table is captured, and the names of its triggers.
-- ----------------------------------------------------------------------
begin
    return (
        select concat_ws(' ', 'generator', londiste.capture_generator(), 'queue', q.queue_id, q.queue_ntables, c.relations, c.is_watched,
                         'capture', i_capture.capture, i_capture.event_format, i_capture.ignored_columns,
                         i_capture.hot_columns, i_capture.empty_columns, p.trigger_name,
                         londiste.capture_levels(i_capture, i_table), londiste.capture_enabled(i_table), 'table', i_table)
        from pgq.queue q
        cross join lateral londiste.capture_queue(q.queue_id) c
        join londiste.provider_table p on p.queue_name = q.queue_name and p.table_name = i_capture.table_name
        where q.queue_name = i_capture.queue_name);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
