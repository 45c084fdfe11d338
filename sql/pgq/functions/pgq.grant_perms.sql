create or replace function pgq.grant_perms(x_queue_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.grant_perms(1)
--     Grants on a queue's tables and sequences what is granted on pgq.event_template: who revokes "select" there from
--     public closes the data of the queues that are created from then on.
-- Parameters:
--     x_queue_name - name of the queue
-- Returns:
--     1
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_table     regclass;
    v_grant     record;
    v_sequences text;
begin
    select q.* into v_queue from pgq.queue q where q.queue_name = x_queue_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'Queue not found',
            detail = format('Queue: %s', x_queue_name);
    end if;
    v_sequences := format('%s, %s', v_queue.queue_event_seq::regclass, v_queue.queue_tick_seq::regclass);

    for v_grant in
        select case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee,
               string_agg(a.privilege_type, ', ') as privileges,
               bool_or(a.privilege_type = 'SELECT') as can_read,
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
            execute format('grant %s on table %s to %s', v_grant.privileges, v_table, v_grant.grantee);
        end loop;
        if v_grant.can_read then
            execute format('grant select on sequence %s to %s', v_sequences, v_grant.grantee);
        end if;
        if v_grant.can_insert then
            execute format('grant usage on sequence %s to %s', v_queue.queue_event_seq::regclass, v_grant.grantee);
        end if;
    end loop;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
