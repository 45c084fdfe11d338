create or replace function pgq._grant_functions(i_grantee text, i_right text)
returns void as $$
-- ----------------------------------------------------------------------
-- Function: pgq._grant_functions(2)
--     Grants EXECUTE on the functions of a right. "admin" includes the functions of the other rights, without the functions
--     that stand for these rights: pgq.revoke_right(2) of "admin" leaves a role the rights that it was granted beside.
-- Parameters:
--     i_grantee - role as "grant" takes it
--     i_right   - reader, writer, or admin
-- ----------------------------------------------------------------------
declare
    v_function  regprocedure;
begin
    for v_function in
        select p.oid
        from pg_proc p
        where p.pronamespace = 'pgq'::regnamespace
          and pg_has_role(p.proowner, 'usage')
          and case i_right
                  when 'admin' then p.proname not in ('_may_read', '_may_write')
                  else pgq._function_right(p.proname) = i_right
              end
    loop
        perform pgq._run_ddl(format('grant execute on function %s to %s', v_function, i_grantee));
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
