create or replace function londiste.fence_holders(out pid integer, out gid text, out description text) returns setof record
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_holders(0)
--     Returns who is at the gate of the fence (see londiste.fence_close) in a transaction that has written to an armed table, the
--     oldest first.
-- Returns:
--     pid - null for a prepared transaction
--     gid - identifier of a prepared transaction; null when there are several of this database, of which any may hold the gate
-- ----------------------------------------------------------------------
begin
    return query
    select l.pid,
           case when l.pid is null then (select min(x.gid) from pg_prepared_xacts x where x.database = current_database()
                                         having count(*) = 1) end,
           case when l.pid is null then 'a prepared transaction'
                else format('process %s (application "%s", user "%s", %s, in a transaction for %s s)', l.pid, a.application_name,
                            a.usename, a.state, extract(epoch from clock_timestamp() - a.xact_start)::bigint) end
    from pg_locks l
    left join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.pid is distinct from pg_backend_pid()
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and l.classid = 1919709038 and l.objid = 1734440037 and l.objsubid = 2
    order by a.xact_start nulls first, l.pid;
end;
$$ language plpgsql stable security definer set search_path = pg_catalog, pg_temp;
