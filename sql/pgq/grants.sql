-- Who may do what. Runs last: every function of the schema exists by now.
--
--     every role   read the state of queues and consumers, write to tables with queue triggers
--     reader       consume: register, batches, retried and failed events; read events
--     writer       insert_event, attach queue triggers
--     admin        everything: create and drop queues, tick, rotate
--
-- A new schema is closed: the rights reader, writer and admin belong to the owner, to the roles pgq_reader, pgq_writer and
-- pgq_admin where these exist, and to whom pgq.grant_right() gives them. A schema of PgQ 2, or of an rlondiste that opened
-- its schema as PgQ 2 does, stays as it is: upgrade.sql has found out which rights every role has there, so that its clients
-- go on. pgq.revoke_right('public', ...) closes such a schema.

grant usage on schema pgq to public;

-- Functions. EXECUTE on a new function is every role's until it is revoked.
do $$
declare
    v_public    constant text[] := string_to_array(current_setting('pgq.install_public'), ' ');
    v_function  record;
begin
    for v_function in
        select p.oid::regprocedure as signature, pgq._function_right(p.proname) as needs
        from pg_proc p
        where p.pronamespace = 'pgq'::regnamespace
          and pg_has_role(p.proowner, 'usage')
    loop
        if v_function.needs = 'everybody' or v_function.needs = any (v_public) then
            execute format('grant execute on function %s to public', v_function.signature);
        else
            execute format('revoke execute on function %s from public', v_function.signature);
        end if;
    end loop;
end;
$$;

-- Tables with the state of queues and consumers: every role may read them, unless the owner has changed that. The tables with
-- events are the readers'; where every role can read them because the schema was made by PgQ 2, that stays.
do $$
declare
    v_table     regclass;
begin
    for v_table in
        select c.oid
        from pg_class c
        where c.oid in ('pgq.consumer'::regclass, 'pgq.queue'::regclass, 'pgq.tick'::regclass, 'pgq.subscription'::regclass)
          and c.relacl is null
    loop
        execute format('grant select on table %s to public', v_table);
    end loop;
end;
$$;

-- The roles of PgQ 3, and who was granted a right: a right may include more than when it was granted. Not "public", whose
-- rights are those found by upgrade.sql.
do $$
declare
    v_holder    record;
begin
    for v_holder in
        select r.rolname::text as role, f.granted
        from (values ('pgq_reader', 'reader'), ('pgq_writer', 'writer'), ('pgq_admin', 'admin')) as f (name, granted)
            join pg_roles r on r.rolname = f.name
        union
        select h, f.granted
        from unnest(array['reader', 'writer', 'admin']) as f (granted), pgq._right_holders(f.granted) h
        where h <> 'public'
    loop
        perform pgq.grant_right(v_holder.role, v_holder.granted);
    end loop;
end;
$$;

-- Queues that were created before these grants on pgq.event_template.
select pgq.grant_perms(q.queue_name) from pgq.queue q order by q.queue_id;
