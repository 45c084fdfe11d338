create or replace function pgq._grant_perms_from(src_schema text, src_table text, dst_schema text, dst_table text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq._grant_perms_from(4)
--     Grants on a table what is granted on another one, with the grant options. For the grants files of PgQ 3 and of programs
--     that have their event tables made as PgQ 3 makes them; here, pgq.grant_perms(1) does it.
-- Parameters:
--     src_schema, src_table - the table whose privileges are copied, names without quotes
--     dst_schema, dst_table - the table that gets them
-- Returns:
--     1
-- Writes:
--     privileges
-- ----------------------------------------------------------------------
declare
    v_grant     record;
begin
    for v_grant in
        select case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee,
               a.privilege_type, a.is_grantable
        from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            cross join lateral aclexplode(c.relacl) a
        where n.nspname = src_schema
          and c.relname = src_table
          and a.grantee <> c.relowner
        order by 1, 2
    loop
        perform pgq._run_ddl(format('grant %s on table %I.%I to %s%s', v_grant.privilege_type, dst_schema, dst_table, v_grant.grantee,
                       case when v_grant.is_grantable then ' with grant option' else '' end));
    end loop;
    return 1;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
