create or replace function londiste.trigger_name(i_queue_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.trigger_name(1)
--     The name of a queue's capture triggers: the row trigger has it as it is, those for one operation have _i, _u, _d or _t behind
--     it, and those that have to be early 0_ before it. It is cut so that all of them fit into an identifier.
-- ----------------------------------------------------------------------
select convert_from(substr(convert_to(n.base, 'utf8'), 1, 52), 'utf8') || '_logger'
from (select lower(replace(i_queue_name, '.', '_')) as base) n;
$$ language sql strict immutable set search_path = pg_catalog, pg_temp;
