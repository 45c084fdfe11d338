create or replace function pgq.batch_event_sql(x_batch_id bigint)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq.batch_event_sql(1)
--     Makes the query that reads a batch's events: one select, in order of ev_id, with the columns ev_id, ev_time,
--     ev_txid, ev_retry, ev_type, ev_data, ev_extra1..4. The query can be used in "declare ... cursor for" and in "copy (...)".
--
--     A batch is what was committed between two ticks, prev and cur: the events whose transaction is visible in the
--     snapshot of cur and not visible in that of prev. Written down like that,
--
--         where txid_visible_in_snapshot(ev_txid, cur) and not txid_visible_in_snapshot(ev_txid, prev)
--
--     the query reads every event of the queue. With bounds the index on ev_txid can be used: transactions below prev's xmin
--     (ended before prev) and from cur's xmax on (not begun at cur) cannot be in the batch. But xmin is the oldest
--     transaction that was still running. One transaction that stays open for an hour holds xmin back for an hour, and each
--     batch of that hour reads the events of the whole hour: the slower the consumer, the more it has to read, and it never
--     catches up.
--
--     "Not visible in prev" means one of two things, and the index finds the events of each exactly:
--       1. the transaction began after prev: ev_txid >= prev's xmax. With cur's xmax as the upper bound, and without the
--          transactions that cur lists as running, this is one range, whose size does not depend on long transactions;
--       2. the transaction was running at prev, and so is in prev's list: of that list, the transactions that have ended at
--          cur, named one by one. A long transaction is named in one batch only: the one whose end tick first sees it ended.
--     Each transaction is either below prev's xmax or not, and prev's xmax <= cur's xmax: so no event is in both parts, and
--     none of the batch is in neither.
-- Parameters:
--     x_batch_id - id of an active batch
-- Returns:
--     the query's text
-- Calls:
--     pgq.batch_event_tables(1)
-- ----------------------------------------------------------------------
declare
    c_columns   constant text :=
        'ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4';
    v_batch     record;
    v_owner     text;
    v_running   text;
    v_ended     text;
    v_table     text;
    v_parts     text[] := '{}';
begin
    select s.sub_id, p.tick_snapshot as prev, c.tick_snapshot as cur,
           txid_snapshot_xmax(p.tick_snapshot) as prev_xmax, txid_snapshot_xmax(c.tick_snapshot) as cur_xmax
    into v_batch
    from pgq.subscription s
        join pgq.tick p on p.tick_queue = s.sub_queue and p.tick_id = s.sub_last_tick
        join pgq.tick c on c.tick_queue = s.sub_queue and c.tick_id = s.sub_next_tick
    where s.sub_batch = x_batch_id;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'batch not found',
            detail = format('Batch: %s', coalesce(x_batch_id::text, 'null')),
            hint = 'It is finished, or was closed when its consumer was moved. Ask for the next batch.';
    end if;

    select string_agg(x::text, ', ' order by x) into v_running
    from txid_snapshot_xip(v_batch.cur) x
    where x >= v_batch.prev_xmax;
    select string_agg(x::text, ', ' order by x) into v_ended
    from txid_snapshot_xip(v_batch.prev) x
    where txid_visible_in_snapshot(x, v_batch.cur);

    -- A retried event is read only by the consumer that has asked for it.
    v_owner := format('(ev_owner is null or ev_owner = %s)', v_batch.sub_id);
    for v_table in
        select t from pgq.batch_event_tables(x_batch_id) t
    loop
        v_parts := v_parts || format('select %s from %s where ev_txid >= %s and ev_txid < %s%s and %s',
            c_columns, v_table::regclass, v_batch.prev_xmax, v_batch.cur_xmax,
            ' and ev_txid not in (' || v_running || ')', v_owner);
        if v_ended is not null then
            v_parts := v_parts || format('select %s from %s where ev_txid in (%s) and %s',
                c_columns, v_table::regclass, v_ended, v_owner);
        end if;
    end loop;
    -- No event table can have an event of this batch.
    if v_parts = '{}' then
        return format('select %s from pgq.event_template where false order by 1', c_columns);
    end if;
    return array_to_string(v_parts, ' union all ') || ' order by 1';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
