create or replace function londiste.rlondiste_version() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.rlondiste_version(0)
--     Returns the rlondiste release that installed this schema.
-- ----------------------------------------------------------------------
select '0.2.0'::text;
$$ language sql immutable;
