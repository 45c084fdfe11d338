create or replace function pgq.get_batch_cursor(
    in i_batch_id bigint, in i_cursor_name text, in i_quick_limit integer,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer, out ev_type text,
    out ev_data text, out ev_extra1 text, out ev_extra2 text, out ev_extra3 text, out ev_extra4 text)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_batch_cursor(3)
--     Opens a cursor on a batch's events, and returns the first of them.
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
--     Opens a cursor on a batch's events, and returns the first of them. The cursor stands after those and is read
--     with fetch, until the end of the transaction. Runs with the rights and the search_path of its caller, as the
--     condition is the caller's SQL.
-- Parameters:
--     i_batch_id    - id of an active batch
--     i_cursor_name - name for the cursor
--     i_quick_limit - how many events to return at once
--     i_extra_where - condition on the event's columns, or null
-- Returns:
--     the first events, in order of ev_id; fewer than i_quick_limit: that was all
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
