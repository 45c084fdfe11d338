-- Rights in schema londiste.
--
-- Reading the position and the tables is open to every role, as in Londiste 2.1. Everything that changes something is for the
-- owner, and for the role pgq_admin where it exists: these functions run with the owner's rights, so whoever may call them may
-- switch replication off. Writers of replicated tables need nothing here: a trigger function runs without a right of its own.

grant usage on schema londiste to public;

grant select on londiste.provider_table, londiste.completed, londiste.link, londiste.subscriber_table to public;

do $$
declare
    f record;
    admin boolean := exists (select 1 from pg_catalog.pg_roles where rolname = 'pgq_admin');
begin
    for f in
        select p.oid::regprocedure as signature, p.proname, p.prosecdef, p.provolatile,
               pg_catalog.pg_get_function_result(p.oid) = 'trigger' as is_trigger
        from pg_catalog.pg_proc p
        where p.pronamespace = 'londiste'::regnamespace
          and pg_catalog.pg_get_userbyid(p.proowner) = current_user
    loop
        if f.is_trigger or (f.prosecdef and f.provolatile = 'v'
                            and f.proname not in ('subscriber_get_table_list', 'subscriber_get_seq_list')) then
            execute format('revoke all on function %s from public', f.signature);
            if admin and not f.is_trigger then
                execute format('grant execute on function %s to pgq_admin', f.signature);
            end if;
        end if;
    end loop;
end;
$$;
