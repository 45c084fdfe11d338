create or replace function londiste.provider_get_sources(i_queue_name text, out table_name text, out captured_since text) returns setof record
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_get_sources(1)
--     Returns the tables of a queue's set with the time since which each has been in the set without a break. A subscriber stores
--     the time when it copies the table: another time, or no row, means that changes were not captured since.
-- Returns: name of the table; the time in UTC with microseconds, null for a table without generated capture functions
-- ----------------------------------------------------------------------
select t.table_name, to_char(c.captured_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
from londiste.provider_table t
left join londiste.capture c on c.queue_name = t.queue_name and c.table_name = t.table_name
where t.queue_name = i_queue_name
order by t.nr;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
