create or replace function londiste.subscriber_get_table_list(i_queue_name text) returns setof londiste.ret_subscriber_table
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_get_table_list(1)
--     Returns the subscribed tables of a queue and their states, in the order in which the tables were added.
-- ----------------------------------------------------------------------
select t.table_name, t.merge_state, t.snapshot, t.trigger_name, t.skip_truncate
from londiste.subscriber_table t
where t.queue_name = i_queue_name
order by t.nr;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
