create or replace function pgq._is_trusted(i_role oid)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._is_trusted(1)
--     Tells whether a role has the rights of the owner of schema pgq, as whom this runs, or is a pgq_admin.
-- Parameters:
--     i_role - the role
-- Returns:
--     whether it is
-- ----------------------------------------------------------------------
begin
    return pg_has_role(i_role, current_user, 'usage')
        or exists (select 1
                   from pg_roles r
                   where r.rolname = 'pgq_admin'
                     and pg_has_role(i_role, r.oid, 'usage'));
end;
$$ language plpgsql;
