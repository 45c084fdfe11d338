create or replace function londiste.subscriber_get_table_pending_fkeys(i_table_name text) returns setof londiste.subscriber_pending_fkeys
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_get_table_pending_fkeys(1)
--     Returns the foreign keys from and to a table that were dropped and have not been created again.
-- ----------------------------------------------------------------------
select f.*
from londiste.subscriber_pending_fkeys f
where londiste.full_name(i_table_name) in (f.from_table, f.to_table)
order by f.from_table, f.fkey_name;
$$ language sql stable set search_path = pg_catalog, pg_temp;
