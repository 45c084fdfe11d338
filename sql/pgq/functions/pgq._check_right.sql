create or replace function pgq._check_right(i_role text, i_right text)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._check_right(2)
--     Checks what pgq.grant_right(2) and pgq.revoke_right(2) were called with, and by whom.
-- Parameters:
--     i_role  - name of a role, or "public" for every role
--     i_right - reader, writer, or admin
-- Returns:
--     the role as "grant" and "revoke" take it
-- ----------------------------------------------------------------------
declare
    v_owner     oid;
begin
    if i_right is null or i_right not in ('reader', 'writer', 'admin') then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('there is no right "%s"', i_right),
            hint = 'Rights: reader, writer, admin.';
    end if;
    select n.nspowner into v_owner from pg_namespace n where n.nspname = 'pgq';
    if not pg_has_role(v_owner, 'usage') then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('%I may not grant or revoke rights in schema pgq', current_user),
            hint = format('Do it as the owner of the schema, %I.', pg_get_userbyid(v_owner));
    end if;
    if i_role = 'public' and i_right = 'admin' then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'the right "admin" is not for every role',
            hint = 'Grant it to the roles that need it.';
    elsif i_role = 'public' then
        return 'public';
    end if;
    if i_role is null or to_regrole(quote_ident(i_role)) is null then
        raise exception using
            errcode = 'undefined_object',
            message = format('role "%s" does not exist', i_role),
            hint = 'Create it first ("create role"), or write public for every role.';
    end if;
    return quote_ident(i_role);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
