create or replace function londiste.revoke_admin(i_grantee text) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.revoke_admin(1)
--     Revokes what londiste.grant_admin(1) grants.
-- Parameters: i_grantee - role, quoted as "revoke" takes it
-- Writes: privileges on functions
-- ----------------------------------------------------------------------
declare
    v_function regprocedure;
begin
    for v_function in
        select f from londiste.admin_functions() f
    loop
        perform londiste.run_ddl(format('revoke execute on function %s from %s', v_function, i_grantee));
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
