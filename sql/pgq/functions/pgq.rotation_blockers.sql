create or replace function pgq.rotation_blockers(
    in i_queue_name text,
    out blocker text, out pid integer, out consumer_name text, out username text, out application_name text,
    out since timestamptz, out query_start timestamptz, out detail text)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.rotation_blockers(1)
--     Tells who keeps a queue from being rotated now. Of other users' sessions it shows what pg_stat_activity shows to the
--     caller.
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     no row when the rotation is not due or can be done; else a row for each blocker
--     blocker       - transaction: it began before the last rotation was visible, and is still open
--                     prepared transaction: the same, waiting for "commit prepared"
--                     lock: holds a lock on the table that is to be emptied
--                     consumer: has not read what came before the last rotation
--     pid, username, application_name, query_start - the session
--     consumer_name - the consumer
--     since         - begin of the transaction; when the consumer was last seen
--     detail        - in words
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_now       bigint := txid_snapshot_xmax(txid_current_snapshot());
    v_next      regclass;
begin
    select q.* into v_queue
    from pgq.queue q
    where q.queue_name = i_queue_name
      and q.queue_switch_step2 is not null
      and (now() - q.queue_switch_time >= q.queue_rotation_period or q.queue_switch_time > clock_timestamp());
    if not found then
        return;
    end if;
    v_next := (v_queue.queue_data_pfx || '_'
               || ((v_queue.queue_cur_table + 1) % v_queue.queue_ntables)::text)::regclass;

    -- Views show transaction ids without their epoch: the age of one, modulo 2^32, gives it back. The age is negative for a transaction
    -- that has begun since v_now was read.
    return query
    select 'transaction'::text, a.pid, null::text, a.usename::text, a.application_name, a.xact_start, a.query_start,
           format('a transaction in database %s is open since %s', a.datname, a.xact_start)
    from pg_stat_activity a
    where a.backend_xid is not null
      and v_now - (((v_now - a.backend_xid::text::bigint + 2147483648) & 4294967295) - 2147483648) <= v_queue.queue_switch_step2
    order by a.xact_start;
    return query
    select 'prepared transaction'::text, null::integer, null::text, p.owner::text, null::text, p.prepared,
           null::timestamptz, format('prepared transaction %L in database %s', p.gid, p.database)
    from pg_prepared_xacts p
    where v_now - (((v_now - p.transaction::text::bigint + 2147483648) & 4294967295) - 2147483648) <= v_queue.queue_switch_step2
    order by p.prepared;
    return query
    select distinct on (l.pid) 'lock'::text, l.pid, null::text, a.usename::text, a.application_name, a.xact_start,
           a.query_start, format('holds %s on %s', l.mode, v_next)
    from pg_locks l
        left join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'relation'
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and l.relation = v_next
      and l.granted
      and l.pid is distinct from pg_backend_pid()
    order by l.pid, l.mode;
    return query
    select 'consumer'::text, null::integer, c.co_name, null::text, null::text, s.sub_active, null::timestamptz,
           format('stands at tick %s, %s behind', s.sub_last_tick, now() - t.tick_time)
    from pgq.subscription s
        join pgq.consumer c on c.co_id = s.sub_consumer
        left join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
    where s.sub_queue = v_queue.queue_id
      and s.sub_last_tick is not null
      and coalesce(txid_snapshot_xmin(t.tick_snapshot), 0) <= v_queue.queue_switch_step2
    order by c.co_name;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
