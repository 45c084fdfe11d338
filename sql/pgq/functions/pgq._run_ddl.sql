create or replace function pgq._run_ddl(i_statement text)
returns void as $$
-- ----------------------------------------------------------------------
-- Function: pgq._run_ddl(1)
--     Executes a statement that defines or changes an object, or a right on it. Event triggers of users run in such a statement, and
--     their functions look names up in the search_path of the session unless they set one themselves. So, where there are event
--     triggers, the statement runs with the search_path that a session of this role has: the setting of role and database. It does
--     not run with the search_path of the caller, which would decide what is done with the rights of this role.
--
--     The value in the server's configuration file is not known here; without a setting of role or database the path is
--     PostgreSQL's default. pg_temp comes last, where it would otherwise be searched first.
-- Parameters:
--     i_statement - a statement in which every name has its schema
-- Raises:
--     any error of the statement
-- ----------------------------------------------------------------------
declare
    v_path text;
begin
    if exists (select 1 from pg_event_trigger) then
        select coalesce(max(p.path), '"$user", public') into v_path
        from (select substr(c.setting, length('search_path=') + 1) as path
              from pg_db_role_setting s
              cross join lateral unnest(s.setconfig) c(setting)
              where s.setdatabase in (0, (select d.oid from pg_database d where d.datname = current_database()))
                and s.setrole in (0, (select r.oid from pg_roles r where r.rolname = current_user))
                and left(c.setting, 12) = 'search_path='
              order by s.setrole <> 0 desc, s.setdatabase <> 0 desc
              limit 1) p;
        perform set_config('search_path', v_path || case when v_path ~ E'\\mpg_temp\\M' then '' else ', pg_temp' end, true);
    end if;
    execute i_statement;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
