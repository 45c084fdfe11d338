create or replace function londiste.get_last_tick(i_consumer text) returns bigint
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.get_last_tick(1)
--     Returns the tick up to which a consumer has applied its queue to this database.
-- Parameters: i_consumer - consumer id
-- Returns: tick id, or null when londiste.completed has no row for the consumer
-- ----------------------------------------------------------------------
select c.last_tick_id
from londiste.completed c
where c.consumer_id = i_consumer;
$$ language sql security definer strict stable set search_path = pg_catalog, pg_temp;
