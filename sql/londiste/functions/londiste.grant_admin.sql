create or replace function londiste.grant_admin(i_grantee text) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.grant_admin(1)
--     Grants EXECUTE on the functions of schema londiste that change something and run with its owner's rights. pgq.grant_right(2)
--     calls it for the right "admin", the installation for who has that right. Does nothing where the caller does not own the
--     functions.
-- Parameters: i_grantee - role as "grant" takes it, quoted
-- Writes: privileges on functions
-- ----------------------------------------------------------------------
declare
    v_function regprocedure;
begin
    for v_function in
        select f from londiste.admin_functions() f
    loop
        execute format('grant execute on function %s to %s', v_function, i_grantee);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
