-- Rights in schema londiste.
--
-- Every role may read positions and tables, as in Londiste 2.1. The functions that change something may be called by the owner and
-- by administrators of the queues of this database: the role pgq_admin where it exists, and the holders of the right "admin"
-- (pgq.grant_right). They run with the owner's rights, so whoever may call them may switch replication off. Writers of replicated
-- tables need no right here: the server does not check EXECUTE when a trigger fires.

grant usage on schema londiste to public;

grant select on londiste.provider_table, londiste.completed, londiste.completed_tick, londiste.queue_consumer, londiste.link,
                londiste.subscriber_table, londiste.ledger, londiste.fence_state,
                londiste.switchover to public;

do $$
declare
    v_function regprocedure;
    v_admins text[] := array(select quote_ident(r.rolname) from pg_catalog.pg_roles r where r.rolname = 'pgq_admin');
    v_admin text;
begin
    for v_function in
        select f from londiste.admin_functions() f
        union all
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'londiste'::regnamespace
          and pg_has_role(p.proowner, 'usage')
          and p.prorettype = 'trigger'::regtype
    loop
        execute format('revoke all on function %s from public', v_function);
    end loop;

    if to_regprocedure('pgq._right_holders(text)') is not null then
        execute 'select $1 || array(select quote_ident(h) from pgq._right_holders(''admin'') h)' into v_admins using v_admins;
    end if;
    foreach v_admin in array v_admins
    loop
        perform londiste.grant_admin(v_admin);
    end loop;
end;
$$;
