-- Roles of PgQ 3: pgq_reader consumes, pgq_writer puts events into queues, pgq_admin administers and may do both.
--
-- Roles belong to the whole cluster, and who owns a database may not be allowed to create them. Then the functions
-- for consumers and writers are open to everybody, as in PgQ 2.1, and those of an admin belong to the owner of the
-- schema alone (grants.sql). A later install, after somebody has created the roles, uses them.
do $$
declare
    v_role      text;
begin
    foreach v_role in array array['pgq_reader', 'pgq_writer', 'pgq_admin']
    loop
        continue when exists (select 1 from pg_roles r where r.rolname = v_role);
        begin
            execute format('create role %I', v_role);
            if v_role = 'pgq_admin' then
                grant pgq_reader, pgq_writer to pgq_admin;
            end if;
        exception
            when insufficient_privilege then
                raise notice 'role % does not exist and % may not create it', v_role, current_user
                    using hint = format('As a superuser: create role %I; then install again.', v_role);
            when duplicate_object or unique_violation then
                -- Another database of this cluster is being installed at the same time.
                null;
        end;
    end loop;
end;
$$;
