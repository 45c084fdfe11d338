create or replace function pgq.rebase_queue(i_queue_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.rebase_queue(1)
--     Makes a queue usable again after its database was restored into a cluster whose transaction counter is behind the
--     counter of the old cluster. There, new events get transaction ids that look older than the last tick, so that no
--     consumer would ever get them. Consumers keep their positions and their unread events.
--
--     Only the order matters: between which two ticks an event lies. The ticks that are positions of consumers, from the
--     oldest to the newest, are P1 .. Pk. An event that is not visible in the first m of these ticks is unread by the
--     consumers at these ticks; it gets the m-th of k transaction ids that have ended in this cluster, and Pm gets a snapshot
--     that ends right before that id. Events that every consumer has read are deleted, and so are all other ticks. Events
--     written since the restore come after Pk. A new tick comes after all events.
--
--     The transaction ids of events written since the restore look as if they had ended before all the ticks. Two facts tell
--     these events apart: their ids are higher than the position of the sequence at the last tick; and, when the id was given
--     by the writer or is that of a retried event, the transaction that wrote the row is the one that ev_txid names (a
--     restored row was written by the transaction that restored it).
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     1, or 0 when the queue is in order and nothing was changed
-- Calls:
--     pgq._lock_ticks(2), pgq._insert_tick(5)
-- Writes:
--     pgq.queue, pgq.tick, the event tables
-- Locks:
--     until the end of the transaction: the queue's row for update; the lock of pgq._lock_ticks(2); the event tables in access
--     exclusive mode, for which it waits for open transactions that have read or written them
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_last      record;
    v_xmin      bigint;
    v_ticks     bigint[];
    v_snapshots txid_snapshot[];
    v_base      bigint;
    v_current   regclass;
    v_table     regclass;
    -- How many of the ticks P1 .. Pk do not see the event; none sees one that was written since the restore.
    c_unread_by constant text :=
        '(select count(*) from unnest($1) s where not txid_visible_in_snapshot(e.ev_txid, s)'
        ' or e.ev_id > $2 or e.xmin::text::bigint = e.ev_txid & 4294967295)';
begin
    select q.* into v_queue from pgq.queue q where q.queue_name = i_queue_name for update;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'No such event queue',
            detail = format('Queue: %s', coalesce(i_queue_name, 'null'));
    end if;
    perform pgq._lock_ticks(v_queue.queue_id, true);
    for v_nr in 0 .. v_queue.queue_ntables - 1 loop
        execute format('lock table only %s in access exclusive mode',
                       (v_queue.queue_data_pfx || '_' || v_nr::text)::regclass);
    end loop;

    select t.* into v_last from pgq.tick t where t.tick_queue = v_queue.queue_id order by t.tick_id desc limit 1;
    v_xmin := txid_snapshot_xmin(txid_current_snapshot());
    if greatest(txid_snapshot_xmax(v_last.tick_snapshot), v_queue.queue_switch_step1, v_queue.queue_switch_step2)
       <= txid_snapshot_xmax(txid_current_snapshot()) then
        return 0;
    end if;

    select array_agg(t.tick_id order by t.tick_id), array_agg(t.tick_snapshot order by t.tick_id)
    into v_ticks, v_snapshots
    from pgq.tick t
    where t.tick_queue = v_queue.queue_id
      and exists (select 1
                  from pgq.subscription s
                  where s.sub_queue = v_queue.queue_id
                    and t.tick_id in (s.sub_last_tick, s.sub_next_tick));
    v_base := v_xmin - 1 - coalesce(cardinality(v_ticks), 0);

    -- All unread events end up in the current table, under their new transaction ids.
    v_current := (v_queue.queue_data_pfx || '_' || v_queue.queue_cur_table::text)::regclass;
    execute format('delete from only %s e where %s = 0', v_current, c_unread_by)
    using v_snapshots, v_last.tick_event_seq;
    execute format('update only %s e set ev_txid = $3 + %s', v_current, c_unread_by)
    using v_snapshots, v_last.tick_event_seq, v_base;
    for v_nr in 0 .. v_queue.queue_ntables - 1 loop
        v_table := (v_queue.queue_data_pfx || '_' || v_nr::text)::regclass;
        continue when v_table = v_current;
        execute format(
            'insert into %1$s (ev_id, ev_time, ev_txid, ev_owner, ev_retry, ev_type, ev_data,'
            ' ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
            ' select ev_id, ev_time, $3 + %3$s, ev_owner, ev_retry, ev_type, ev_data,'
            ' ev_extra1, ev_extra2, ev_extra3, ev_extra4 from only %2$s e where %3$s > 0',
            v_current, v_table, c_unread_by)
        using v_snapshots, v_last.tick_event_seq, v_base;
        execute format('truncate table only %s', v_table);
    end loop;

    delete from pgq.tick where tick_queue = v_queue.queue_id and tick_id <> all (coalesce(v_ticks, '{}'));
    update pgq.tick
    set tick_snapshot = format('%1$s:%1$s:', v_base + array_position(v_ticks, tick_id))::txid_snapshot
    where tick_queue = v_queue.queue_id;
    update pgq.queue
    set queue_switch_step1 = v_base,
        queue_switch_step2 = v_base,
        queue_switch_time = now()
    where queue_id = v_queue.queue_id;
    perform pgq._insert_tick(v_queue.queue_id, i_queue_name, null::bigint, now(), null::bigint);
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
