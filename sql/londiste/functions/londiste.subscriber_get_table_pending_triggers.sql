create or replace function londiste.subscriber_get_table_pending_triggers(i_table_name text)
returns setof londiste.subscriber_pending_triggers
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_get_table_pending_triggers(1)
--     Returns the triggers of a table that were dropped when it was subscribed and have not been created again.
-- ----------------------------------------------------------------------
select t.*
from londiste.subscriber_pending_triggers t
where t.table_name = londiste.full_name(i_table_name)
order by t.trigger_name;
$$ language sql stable set search_path = pg_catalog, pg_temp;
