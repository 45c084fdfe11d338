create or replace function pgq.get_batch_cursor(
    in i_batch_id bigint, in i_cursor_name text, in i_quick_limit integer,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer, out ev_type text,
    out ev_data text, out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_batch_cursor(3)
--     Opens a cursor on a batch's events, and returns the first events.
-- Parameters:
--     as pgq.get_batch_cursor(4)
-- Returns:
--     as pgq.get_batch_cursor(4)
-- Calls:
--     pgq.get_batch_cursor(4)
-- ----------------------------------------------------------------------
begin
    return query
    select f.* from pgq.get_batch_cursor(i_batch_id, i_cursor_name, i_quick_limit, null::text) f;
end;
$$ language plpgsql strict;

create or replace function pgq.get_batch_cursor(
    in i_batch_id bigint, in i_cursor_name text, in i_quick_limit integer, in i_extra_where text,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer, out ev_type text,
    out ev_data text, out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_batch_cursor(4)
--     Opens a cursor on a batch's events, and returns the first events. The cursor stands after these and is read with
--     "fetch" until the end of the transaction. The function runs with the rights and the search_path of its caller, because
--     the condition is the caller's SQL.
-- Parameters:
--     i_batch_id    - id of an active batch
--     i_cursor_name - name for the cursor
--     i_quick_limit - number of events to return
--     i_extra_where - condition on the event's columns, or null
-- Returns:
--     the first events, in order of ev_id; when there are fewer than i_quick_limit, these are all events of the batch
-- Calls:
--     pgq.batch_event_sql(1)
-- ----------------------------------------------------------------------
declare
    v_sql       text := pgq.batch_event_sql(i_batch_id);
begin
    if i_extra_where is not null then
        v_sql := pg_catalog.format('select * from (%s) as ev where %s order by 1', v_sql, i_extra_where);
    end if;
    execute pg_catalog.format('declare %I no scroll cursor for %s', i_cursor_name, v_sql);
    return query execute pg_catalog.format('fetch forward %s from %I', i_quick_limit, i_cursor_name);
end;
$$ language plpgsql;
