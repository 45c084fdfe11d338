create or replace function pgq._may_write()
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._may_write(0)
--     Stands for the right "writer": a role holds the right when pgq.grant_right(2) has granted the role EXECUTE on this
--     function. Later installs give each holder what the right has come to include since.
-- Returns:
--     true
-- ----------------------------------------------------------------------
begin
    return true;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
