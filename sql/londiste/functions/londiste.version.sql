create or replace function londiste.version() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.version(0)
--     Returns the Londiste release whose interface this schema has. The tools of that release read it.
-- ----------------------------------------------------------------------
select '2.1.13'::text;
$$ language sql immutable;
