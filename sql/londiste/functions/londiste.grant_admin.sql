create or replace function londiste.grant_admin(i_grantee text) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.grant_admin(1)
--     Grants EXECUTE on londiste.admin_functions(). Called by pgq.grant_right(2) for the right "admin", and by the installation
--     for the roles that have the right. Does nothing when the caller does not own the functions.
-- Parameters: i_grantee - role, quoted as "grant" takes it
-- Writes: privileges on functions
-- ----------------------------------------------------------------------
declare
    v_function regprocedure;
begin
    for v_function in
        select f from londiste.admin_functions() f
    loop
        perform londiste.run_ddl(format('grant execute on function %s to %s', v_function, i_grantee));
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
