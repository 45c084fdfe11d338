create or replace function pgq.batch_event_tables(x_batch_id bigint)
returns setof text as $$
-- ----------------------------------------------------------------------
-- Function: pgq.batch_event_tables(1)
--     Lists the event tables that may hold events of a batch.
--
--     The last rotation decides for most events. The current table has no event of a batch whose end tick is older than the
--     rotation's transaction (switch_step1). The table before it has none when the tick at the begin of the batch is newer
--     than switch_step2, the transaction at which the rotation was visible to every statement. Older tables have none.
--
--     Stragglers are the exception: a transaction with an old snapshot (repeatable read, or a statement that was held up)
--     reads the queue's row as it was before the rotation, gets its transaction id after switch_step2, and writes its event
--     into the old table. So the tables that the rule leaves out are searched for events that are not older than the batch's
--     begin: one search in the index on ev_txid each.
-- Parameters:
--     x_batch_id - id of an active batch
-- Returns:
--     schema-qualified names, oldest table first
-- Calls:
--     pgq._has_events_since(2)
-- ----------------------------------------------------------------------
declare
    v_batch     record;
    v_table     text;
    v_needed    boolean;
begin
    select q.queue_data_pfx, q.queue_ntables, q.queue_cur_table, q.queue_switch_step1, q.queue_switch_step2,
           txid_snapshot_xmin(p.tick_snapshot) as prev_xmin,
           txid_snapshot_xmax(c.tick_snapshot) as cur_xmax
    into v_batch
    from pgq.subscription s
        join pgq.queue q on q.queue_id = s.sub_queue
        join pgq.tick p on p.tick_queue = s.sub_queue and p.tick_id = s.sub_last_tick
        join pgq.tick c on c.tick_queue = s.sub_queue and c.tick_id = s.sub_next_tick
    where s.sub_batch = x_batch_id;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = format('Cannot find data for batch %s', coalesce(x_batch_id::text, 'null')),
            hint = 'The batch is finished, or its ticks are not in pgq.tick.';
    end if;

    for v_age in reverse v_batch.queue_ntables - 1 .. 0 loop
        v_table := format('%s_%s', v_batch.queue_data_pfx,
                          (v_batch.queue_cur_table - v_age + v_batch.queue_ntables) % v_batch.queue_ntables);
        v_needed := case v_age
            when 0 then v_batch.cur_xmax > v_batch.queue_switch_step1
            when 1 then v_batch.queue_switch_step2 is null or v_batch.prev_xmin <= v_batch.queue_switch_step2
            else false
        end;
        if not v_needed then
            v_needed := pgq._has_events_since(v_table, v_batch.prev_xmin);
        end if;
        if v_needed then
            return next v_table;
        end if;
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
