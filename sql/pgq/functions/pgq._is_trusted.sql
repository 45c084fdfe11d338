create or replace function pgq._is_trusted(i_role oid)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._is_trusted(1)
--     Tells whether a role has the rights of the owner of schema pgq, as whom this function runs, or the right "admin".
-- Parameters:
--     i_role - the role
-- Returns:
--     whether it is
-- ----------------------------------------------------------------------
begin
    return pg_has_role(i_role, current_user, 'usage')
        or has_function_privilege(i_role, 'pgq._may_administer()', 'execute');
end;
$$ language plpgsql;
