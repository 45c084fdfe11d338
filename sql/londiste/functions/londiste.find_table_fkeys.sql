create or replace function londiste.find_table_fkeys(i_table_name text) returns setof londiste.subscriber_pending_fkeys
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.find_table_fkeys(1)
--     The foreign keys from and to a table, with the statement that makes each again.
--
--     The copies that a foreign key of a partitioned table has on its partitions are left out: they come and go with it.
-- Parameters: i_table_name - unquoted name
-- Returns: rows as in subscriber_pending_fkeys; names in fkey_def are fully qualified, whatever the caller's search_path. A foreign
--     key with a comment has a second statement in fkey_def.
-- ----------------------------------------------------------------------
select fn.nspname || '.' || f.relname,
       tn.nspname || '.' || t.relname,
       c.conname::text,
       format('alter table %s%I.%I add constraint %I %s', case when f.relkind = 'p' then '' else 'only ' end,
              fn.nspname, f.relname, c.conname, pg_get_constraintdef(c.oid))
           || coalesce(format('; comment on constraint %I on %I.%I is ', c.conname, fn.nspname, f.relname)
                       || quote_literal(obj_description(c.oid, 'pg_constraint')), '')
from pg_constraint c
join pg_class f on f.oid = c.conrelid
join pg_namespace fn on fn.oid = f.relnamespace
join pg_class t on t.oid = c.confrelid
join pg_namespace tn on tn.oid = t.relnamespace
where c.contype = 'f'
  and londiste.find_table_oid(i_table_name) in (c.conrelid, c.confrelid)
  and coalesce(to_jsonb(c) ->> 'conparentid', '0') = '0'
order by 1, 3;
$$ language sql strict stable set search_path = pg_catalog, pg_temp;
