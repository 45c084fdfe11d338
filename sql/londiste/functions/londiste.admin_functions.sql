create or replace function londiste.admin_functions() returns setof regprocedure
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.admin_functions(0)
--     The functions of schema londiste that change something and run with its owner's rights: whoever may call them may switch
--     replication off. They are for the owner, and for who administers the queues.
-- Returns: the functions, those that the caller owns
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
