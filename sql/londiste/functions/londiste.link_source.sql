create or replace function londiste.link_source(i_dest_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.link_source(1)
--     Returns the queue that a linked queue repeats.
-- Parameters: i_dest_name - queue on this database
-- Returns: name of the source queue, or null when the queue is not linked
-- ----------------------------------------------------------------------
select l.source
from londiste.link l
where l.dest = i_dest_name;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
