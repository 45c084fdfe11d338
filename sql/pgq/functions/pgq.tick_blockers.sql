create or replace function pgq.tick_blockers(
    in i_queue_name text,
    out blocker text, out pid integer, out username text, out application_name text,
    out since timestamptz, out query_start timestamptz, out detail text)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.tick_blockers(1)
--     Tells who keeps a queue from getting its next tick now: who holds the lock of pgq._lock_ticks(2), a lock on the queue's
--     row that a new tick has to wait for, or a lock on table pgq.tick or pgq.queue. Of other users' sessions it shows what
--     pg_stat_activity shows to the caller.
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     no row when no one is in the way; else a row for each
--     blocker     - tick: has made a tick, or locked the newest one, and is still open
--                   queue: has locked the queue's row
--                   table: has locked table pgq.tick or pgq.queue
--     pid, username, application_name, since, query_start - the session and the begin of its transaction; pid is null for
--                   a prepared transaction
--     detail      - in words
-- ----------------------------------------------------------------------
begin
    return query
    -- A row that is locked by one transaction names this transaction as its xmax.
    with held as (
        select 'tick'::text as blocker, r.xid, 'holds the newest tick'::text as detail
        from pgq.queue q,
             lateral (select t.xmax as xid from pgq.tick t where t.tick_queue = q.queue_id order by t.tick_id desc limit 1) r
        where q.queue_name = i_queue_name
        union all
        select 'queue'::text, q.xmax, 'holds the row of the queue'::text
        from pgq.queue q
        where q.queue_name = i_queue_name
    ), found as (
        select h.blocker, l.pid, l.virtualtransaction, h.xid, h.detail
        from held h
            join pg_locks l on l.locktype = 'transactionid' and l.transactionid = h.xid and l.granted
        union all
        select 'table'::text, l.pid, l.virtualtransaction, null::xid, format('holds %s on %s', l.mode, l.relation::regclass)
        from pg_locks l
        where l.locktype = 'relation'
          and l.database = (select d.oid from pg_database d where d.datname = current_database())
          and l.relation in ('pgq.tick'::regclass, 'pgq.queue'::regclass)
          and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
          and l.granted
    )
    select distinct on (f.pid, p.gid) f.blocker, f.pid, coalesce(a.usename, p.owner)::text, a.application_name, coalesce(a.xact_start, p.prepared),
           a.query_start, f.detail || case when p.gid is null then '' else format(' in prepared transaction %L', p.gid) end
    from found f
        left join pg_stat_activity a on a.pid = f.pid
        left join pg_prepared_xacts p on f.pid is null and p.transaction = f.xid
    where f.pid is distinct from pg_backend_pid()
    order by f.pid, p.gid, f.blocker desc;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
