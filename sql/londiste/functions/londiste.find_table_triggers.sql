create or replace function londiste.find_table_triggers(i_table_name text) returns setof londiste.subscriber_pending_triggers
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.find_table_triggers(1)
--     The user's triggers of a table, with the statements that make each again.
--
--     Left out are internal triggers, the copies that a trigger of a partitioned table has on its partitions, and replication's own
--     (londiste.is_own_trigger): on a node in the middle of a chain those pass the changes on and must never be taken away.
-- Parameters: i_table_name - unquoted name
-- Returns: rows as in subscriber_pending_triggers; names in trigger_def are fully qualified. A trigger that is disabled, or enabled
--     for replica or always, has a second statement in trigger_def that says so; one with a comment has one for that.
-- ----------------------------------------------------------------------
select londiste.full_name(i_table_name),
       t.tgname::text,
       pg_get_triggerdef(t.oid)
           || case t.tgenabled
                  when 'O' then ''
                  else format('; alter table %s %s trigger %I', londiste.quote_fqname(i_table_name),
                              case t.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end,
                              t.tgname)
              end
           || coalesce(format('; comment on trigger %I on %s is ', t.tgname, londiste.quote_fqname(i_table_name))
                       || quote_literal(obj_description(t.oid, 'pg_trigger')), '')
from pg_trigger t
where t.tgrelid = londiste.find_table_oid(i_table_name)
  and not t.tgisinternal
  and coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0'
  and not londiste.is_own_trigger(t.oid)
order by t.tgname;
$$ language sql strict stable set search_path = pg_catalog, pg_temp;
