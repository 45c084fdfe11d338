create or replace function pgq.grant_perms(x_queue_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.grant_perms(1)
--     Grants on a queue's tables what is granted on pgq.event_template: who may read that table may read the events of the
--     queue. The queue's sequences, which tell how many events and ticks there were, every role may read.
-- Parameters:
--     x_queue_name - name of the queue
-- Returns:
--     1
-- Writes:
--     privileges
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_table     regclass;
    v_grant     record;
begin
    select q.* into v_queue from pgq.queue q where q.queue_name = x_queue_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'Queue not found',
            detail = format('Queue: %s', x_queue_name);
    end if;
    perform pgq._run_ddl(format('grant select on sequence %s, %s to public', v_queue.queue_event_seq::regclass,
                   v_queue.queue_tick_seq::regclass));
    for v_grant in
        select case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee,
               string_agg(a.privilege_type, ', ') as privileges,
               bool_or(a.privilege_type = 'INSERT') as can_insert
        from pg_class c, aclexplode(c.relacl) a
        where c.oid = 'pgq.event_template'::regclass
          and a.grantee <> c.relowner
        group by a.grantee
    loop
        for v_table in
            select v_queue.queue_data_pfx::regclass
            union all
            select (v_queue.queue_data_pfx || '_' || nr::text)::regclass
            from generate_series(0, v_queue.queue_ntables - 1) nr
        loop
            perform pgq._run_ddl(format('grant %s on table %s to %s', v_grant.privileges, v_table, v_grant.grantee));
        end loop;
        if v_grant.can_insert then
            perform pgq._run_ddl(format('grant usage on sequence %s to %s', v_queue.queue_event_seq::regclass, v_grant.grantee));
        end if;
    end loop;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
