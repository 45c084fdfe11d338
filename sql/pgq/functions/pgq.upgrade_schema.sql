create or replace function pgq.upgrade_schema()
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.upgrade_schema(0)
--     Does nothing: the installation brings older schemas up to date. Installers of PgQ call this function.
-- Returns:
--     0
-- ----------------------------------------------------------------------
begin
    return 0;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
