create or replace function pgq._right_holders(i_right text)
returns setof text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._right_holders(1)
--     Lists who was granted a right. The owner of the schema, superusers, and members of the listed roles hold the right
--     too and are not listed.
-- Parameters:
--     i_right - reader, writer, or admin
-- Returns:
--     names of roles, and "public" when the right was granted to every role
-- ----------------------------------------------------------------------
begin
    return query
    select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end
    from pg_proc p, aclexplode(p.proacl) a
    where p.oid = pgq._right_marker(i_right)
      and a.grantee <> p.proowner
      and a.privilege_type = 'EXECUTE'
    order by 1;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
