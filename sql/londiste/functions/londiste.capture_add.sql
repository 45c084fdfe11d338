create or replace function londiste.capture_add(
    i_queue_name text, i_table_name text, i_capture text, i_event_format text, i_key_columns text[], i_ignored_columns text[])
returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_add(6)
--     What all forms of londiste.provider_add_table come down to.
-- Returns: 1, or 0 when the table is there already
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
    v_table_oid oid;
    v_repeats boolean;
begin
    perform londiste.check_provider_queue(i_queue_name);

    v_table_oid := londiste.find_table_oid(v_table_name);
    if v_table_oid is null then
        raise exception using
            errcode = 'undefined_table',
            message = 'table not found',
            detail = format('There is no table %s in this database.', londiste.quote_fqname(v_table_name));
    end if;
    if i_capture not in ('statement', 'row') or i_event_format not in ('sql', 'urlenc', 'json') then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('cannot capture "%s" events of format "%s"', i_capture, i_event_format),
            hint = 'Capture is statement or row, the format is sql, urlenc or json.';
    end if;

    -- The events of a queue that is ticked from outside are written by whoever repeats another queue here, in the
    -- transaction that changes the tables. Triggers would write them a second time.
    v_repeats := exists (select 1 from pgq.queue q where q.queue_name = i_queue_name and q.queue_external_ticker);

    insert into londiste.provider_table (queue_name, table_name, trigger_name)
    values (i_queue_name, v_table_name, case when not v_repeats then londiste.trigger_name(i_queue_name) end)
    on conflict do nothing;
    if not found then
        return 0;
    elsif v_repeats then
        return 1;
    end if;
    insert into londiste.capture (queue_name, table_name, capture, event_format, key_columns, ignored_columns)
    values (i_queue_name, v_table_name, i_capture, i_event_format, i_key_columns, i_ignored_columns);

    perform londiste.capture_generate(i_queue_name, v_table_name);
    return 1;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
