create or replace function londiste.find_table_fkeys(i_table_name text) returns setof londiste.subscriber_pending_fkeys
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.find_table_fkeys(1)
--     Returns the foreign keys from and to a table, each with the statement that creates it.
--
--     A foreign key of a partitioned table has copies on the partitions. The copies are left out: the server creates and drops
--     them together with the foreign key of the table.
-- Returns: rows as in londiste.subscriber_pending_fkeys. Names in fkey_def are fully qualified, whatever the caller's
--     search_path. When the foreign key has a comment, a second statement in fkey_def sets the comment.
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
