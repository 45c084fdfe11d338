create or replace function londiste.admin_functions() returns setof regprocedure
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.admin_functions(0)
--     Returns the functions of schema londiste that change something and run with the rights of the schema's owner. Whoever may
--     call these functions may switch replication off, so only the owner and the administrators of the queues get EXECUTE on
--     them.
-- Returns: the functions, as far as the caller is a member of their owner's role
-- ----------------------------------------------------------------------
select p.oid::regprocedure
from pg_proc p
where p.pronamespace = 'londiste'::regnamespace
  and pg_has_role(p.proowner, 'usage')
  and p.prosecdef
  and p.provolatile = 'v'
  and p.prorettype <> 'trigger'::regtype
  and p.proname not in ('subscriber_get_table_list', 'subscriber_get_seq_list')
order by 1;
$$ language sql stable set search_path = pg_catalog, pg_temp;
