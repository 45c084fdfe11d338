-- Roles of PgQ 3: pgq_reader consumes, pgq_writer puts events into queues, pgq_admin administers and may do both.
--
-- Roles belong to the whole cluster, and who owns a database may not be allowed to create them. The schema works without
-- them: pgq.grant_right() gives rights to any role. A later install, after somebody has created the roles, gives these
-- their rights too.
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
                    using hint = 'pgq.grant_right(ROLE, RIGHT) gives rights to other roles.';
            when duplicate_object or unique_violation then
                -- Another database of this cluster is being installed at the same time.
                null;
        end;
    end loop;
end;
$$;
