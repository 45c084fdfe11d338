create or replace function londiste.capture_generator() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_generator(0)
--     Which generator of capture functions this is: another one after each upgrade that changes a function of it. So functions that
--     an older generator has made are made anew, and nobody has to think of a version number.
--
--     Until then they go on to work: what generated functions call keeps its arguments and its meaning.
-- ----------------------------------------------------------------------
select md5(string_agg(p.proname || ' ' || p.prosrc, ' ' order by p.proname::text collate "C", p.prosrc collate "C"))
from pg_proc p
where p.pronamespace = 'londiste'::regnamespace
  and p.proname ~ '^capture_[a-z]';
$$ language sql stable set search_path = pg_catalog, pg_temp;
