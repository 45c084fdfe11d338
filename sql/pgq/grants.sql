-- Who may do what. Runs last: every function of the schema exists by now.
--
--     everybody    read the queues' state, and use tables with queue triggers
--     pgq_reader   consume: register, batches, retry; everybody in an open schema
--     pgq_writer   insert_event, create queue triggers; everybody in an open schema
--     pgq_admin    everything else: create and drop queues, tick, rotate
--
-- "Open" is an access rule of PgQ 2.1 and holds where the roles do not exist, and where a 2.1 schema was taken over,
-- so that its clients go on. The schema is open when everybody may execute pgq.insert_event(text, text, text); granting
-- or revoking that and installing again changes the rule. upgrade.sql has found out which rule is in force.

grant usage on schema pgq to public;

do $$
declare
    -- Functions by what they are for; those not named here are for admins.
    c_everybody constant text[] := array[
        'get_consumer_info', 'get_queue_info', 'quote_fqname', 'rlondiste_version', 'rotation_blockers', 'seq_getval',
        'version'];
    c_reader    constant text[] := array[
        '_has_events_since', 'batch_event_sql', 'batch_event_tables', 'batch_retry', 'event_failed', 'event_retry',
        'failed_event_count', 'failed_event_delete', 'failed_event_list', 'failed_event_retry', 'find_tick_helper',
        'finish_batch', 'force_tick', 'get_batch_cursor', 'get_batch_events', 'get_batch_info', 'next_batch',
        'next_batch_custom', 'next_batch_info', 'register_consumer', 'register_consumer_at', 'unregister_consumer'];
    c_writer    constant text[] := array[
        'current_event_table', 'insert_event', 'jsontriga', 'logtriga', 'logutriga', 'sqltriga'];
    v_open      constant boolean := coalesce(nullif(current_setting('pgq.install_open'), '')::boolean,
                                             to_regrole('pgq_writer') is null);
    v_function  record;
    v_role      text;
begin
    for v_function in
        select p.oid::regprocedure as signature,
               p.proname = any (c_everybody) as for_everybody,
               p.proname = any (c_reader) as for_reader,
               p.proname = any (c_writer) as for_writer
        from pg_proc p
        where p.pronamespace = 'pgq'::regnamespace
          and pg_has_role(p.proowner, 'usage')
    loop
        if v_function.for_everybody or (v_open and (v_function.for_reader or v_function.for_writer)) then
            execute format('grant execute on function %s to public', v_function.signature);
        else
            execute format('revoke execute on function %s from public', v_function.signature);
        end if;
        for v_role in
            select r.rolname
            from pg_roles r
            where r.rolname = 'pgq_admin'
               or r.rolname = 'pgq_reader' and v_function.for_reader
               or r.rolname = 'pgq_writer' and v_function.for_writer
        loop
            execute format('grant execute on function %s to %I', v_function.signature, v_role);
        end loop;
    end loop;
end;
$$;

-- Tables: everybody may read. What an owner has granted or revoked since the first install stays.
do $$
declare
    v_table     record;
    v_role      record;
begin
    for v_table in
        select c.oid::regclass as name, c.relname = 'event_template' as is_template
        from pg_class c
        where c.oid in ('pgq.consumer'::regclass, 'pgq.queue'::regclass, 'pgq.tick'::regclass,
                        'pgq.subscription'::regclass, 'pgq.event_template'::regclass, 'pgq.retry_queue'::regclass,
                        'pgq.failed_queue'::regclass)
    loop
        if (select c.relacl is null from pg_class c where c.oid = v_table.name) then
            execute format('grant select on table %s to public', v_table.name);
        end if;
        for v_role in
            select r.rolname,
                   case when r.rolname = 'pgq_reader' then 'select'
                        when v_table.is_template then 'select, insert, truncate'
                        else 'select, insert, update, delete' end as privileges
            from pg_roles r
            where r.rolname in ('pgq_reader', 'pgq_admin')
        loop
            execute format('grant %s on table %s to %I', v_role.privileges, v_table.name, v_role.rolname);
        end loop;
    end loop;
end;
$$;

-- Queues that were created before the roles were.
select pgq.grant_perms(q.queue_name) from pgq.queue q order by q.queue_id;
