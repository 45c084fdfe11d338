create or replace function londiste.get_table_state(i_queue_name text) returns setof londiste.subscriber_table
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.get_table_state(1)
--     Returns the rows of londiste.subscriber_table for a queue, in the order in which the tables were added. Old form of
--     londiste.subscriber_get_table_list.
-- ----------------------------------------------------------------------
select t.*
from londiste.subscriber_table t
where t.queue_name = i_queue_name
order by t.nr;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
