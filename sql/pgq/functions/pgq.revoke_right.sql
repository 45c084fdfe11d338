create or replace function pgq.revoke_right(i_role text, i_right text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.revoke_right(2)
--     Takes a right back from a role. The role keeps what its other rights include, and what it may do as a member of other
--     roles or because every role may.
-- Parameters:
--     i_role  - name of a role, or "public" for every role
--     i_right - reader, writer, or admin, as in pgq.grant_right(2)
-- Returns:
--     1 - taken back
--     0 - the role was not granted this right
-- Calls:
--     pgq._check_right(2), pgq.grant_right(2), londiste.revoke_admin(1)
-- Writes:
--     privileges on schema pgq, its functions, tables and sequences
-- Raises:
--     as pgq.grant_right(2)
-- ----------------------------------------------------------------------
declare
    v_grantee   constant text := pgq._check_right(i_role, i_right);
    v_had       constant boolean := i_role in (select h from pgq._right_holders(i_right) h);
    v_object    record;
    v_other     text;
    v_has_other boolean := false;
begin
    for v_object in
        select 'function' as kind, p.oid::regprocedure::text as name, p.oid as nr
        from pg_proc p
        where p.pronamespace = 'pgq'::regnamespace
          and pg_has_role(p.proowner, 'usage')
          and case i_right
                  when 'admin' then p.proname not in ('_may_read', '_may_write')
                                    and (i_role <> 'public' or pgq._function_right(p.proname) <> 'everybody')
                  else pgq._function_right(p.proname) = i_right
              end
        union all
        -- Every role keeps the sequences and the tables that tell the state of queues.
        select case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass::text, c.oid
        from pg_class c
        where c.relnamespace = 'pgq'::regnamespace
          and c.relkind in ('r', 'S')
          and i_right in ('reader', 'admin')
          and (i_role <> 'public'
               or c.relkind = 'r' and c.relname not in ('consumer', 'queue', 'tick', 'subscription'))
          and pg_has_role(c.relowner, 'usage')
        order by nr
    loop
        perform pgq._run_ddl(format('revoke all on %s %s from %s', v_object.kind, v_object.name, v_grantee));
    end loop;
    if i_right = 'admin' and to_regprocedure('londiste.revoke_admin(text)') is not null then
        execute 'select londiste.revoke_admin($1)' using v_grantee;
    end if;

    foreach v_other in array array['reader', 'writer', 'admin']
    loop
        if i_role in (select h from pgq._right_holders(v_other) h) then
            perform pgq.grant_right(i_role, v_other);
            v_has_other := true;
        end if;
    end loop;
    if i_role <> 'public' and not v_has_other then
        perform pgq._run_ddl(format('revoke usage on schema pgq from %s', v_grantee));
    end if;
    return v_had::integer;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
