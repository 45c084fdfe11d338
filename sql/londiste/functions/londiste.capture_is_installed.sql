create or replace function londiste.capture_is_installed(i_number int, i_capture londiste.capture, i_relation oid) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_is_installed(3)
--     Tells whether all capture triggers of a relation are there and enabled as they should be.
-- ----------------------------------------------------------------------
select count(*) = 4
from pg_trigger t
join pg_proc p on p.oid = t.tgfoid
where t.tgrelid = i_relation
  and p.pronamespace = 'londiste'::regnamespace
  and p.proname in (select format('capture_%s_%s', i_number, o) from unnest(array['i', 'u', 'd', 't']) o)
  and t.tgname = londiste.trigger_name(i_capture.queue_name) || right(p.proname, 2)
  and t.tgenabled = londiste.capture_enabled(i_capture.table_name);
$$ language sql stable set search_path = pg_catalog, pg_temp;
