create or replace function londiste.provider_get_table_list(i_queue_name text) returns setof londiste.ret_provider_table_list
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_get_table_list(1)
--     Returns the tables of a queue's set with the names of their triggers, in the order in which the tables were added.
-- ----------------------------------------------------------------------
select t.table_name, t.trigger_name
from londiste.provider_table t
where t.queue_name = i_queue_name
order by t.nr;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
