create or replace function londiste.applied(
    in i_queue_name text,
    out consumer_id text, out tick_id bigint, out tick_time timestamptz, out tick_snapshot txid_snapshot)
returns setof record
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.applied(1)
--     Tells up to where replay has applied a queue to this database. Everything that had ended on the provider at the tick is visible
--     here, in tables that are "ok"; nothing later is.
-- Returns: one row, or none while replay has applied nothing
--     consumer_id   - consumer of replay
--     tick_id       - last applied tick
--     tick_time     - when the provider made it; null while that is not known
--     tick_snapshot - which transactions of the provider had ended at the tick; null while that is not known
-- ----------------------------------------------------------------------
select c.consumer_id, c.last_tick_id, t.tick_time::timestamp at time zone 'UTC', t.tick_snapshot
from londiste.queue_consumer q
    join londiste.completed c on c.consumer_id = q.consumer_id
    left join londiste.completed_tick t on t.consumer_id = c.consumer_id and t.tick_id = c.last_tick_id
where q.queue_name = i_queue_name;
$$ language sql stable set search_path = pg_catalog, pg_temp;
