create or replace function londiste.provider_get_keys(i_queue_name text, out table_name text, out key_columns text[]) returns setof record
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_get_keys(1)
--     Returns the tables of a queue's set whose key was chosen when they were added, with its columns. Subscribers compare tables by
--     it, so every role may know it.
-- ----------------------------------------------------------------------
select c.table_name, c.key_columns
from londiste.capture c
where c.queue_name = i_queue_name and c.key_columns is not null;
$$ language sql security definer stable set search_path = pg_catalog, pg_temp;
