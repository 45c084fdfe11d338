create or replace function pgq.rlondiste_version()
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq.rlondiste_version(0)
--     Returns the version of the rlondiste that installed this schema.
-- ----------------------------------------------------------------------
begin
    return '0.2.0';
end;
$$ language plpgsql immutable;
