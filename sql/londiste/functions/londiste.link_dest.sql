create or replace function londiste.link_dest(i_source_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.link_dest(1)
--     Returns the queue on this database that repeats a subscribed queue.
-- Parameters: i_source_name - queue that this database subscribes to
-- Returns: name of the linked queue, or null when there is none
-- ----------------------------------------------------------------------
select l.dest
from londiste.link l
where l.source = i_source_name;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
