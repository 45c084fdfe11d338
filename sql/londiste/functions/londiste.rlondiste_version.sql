create or replace function londiste.rlondiste_version() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.rlondiste_version(0)
--     The rlondiste release that installed this schema.
-- ----------------------------------------------------------------------
select '0.1.0'::text;
$$ language sql immutable;
