create or replace function pgq.version()
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq.version(0)
--     Returns the version of PgQ whose interface this schema provides.
-- ----------------------------------------------------------------------
begin
    return '3.5';
end;
$$ language plpgsql immutable;
