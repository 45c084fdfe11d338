create or replace function londiste.find_table_triggers(i_table_name text) returns setof londiste.subscriber_pending_triggers
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.find_table_triggers(1)
--     Returns the user's triggers of a table, each with the statements that create it.
--
--     Left out are internal triggers, the copies on partitions of a partitioned table's triggers, and replication's own
--     triggers (londiste.is_own_trigger): in the middle of a chain the latter capture the changes for the next subscriber and
--     must never be dropped.
-- Returns: rows as in londiste.subscriber_pending_triggers. Names in trigger_def are fully qualified. When the trigger is
--     disabled, or enabled for replica or always, a further statement in trigger_def restores that; when the trigger has a
--     comment, a further statement sets the comment. The table of version 2.1.14, a fork, has a column trigger_type more, which is 'c'
--     for a constraint trigger, else 't'.
-- ----------------------------------------------------------------------
select jsonb_populate_record(null::londiste.subscriber_pending_triggers, jsonb_build_object(
    'table_name', londiste.full_name(i_table_name),
    'trigger_name', t.tgname::text,
    'trigger_type', case when t.tgconstraint = 0 then 't' else 'c' end,
    'trigger_def', pg_get_triggerdef(t.oid)
           || case t.tgenabled
                  when 'O' then ''
                  else format('; alter table %s %s trigger %I', londiste.quote_fqname(i_table_name),
                              case t.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end,
                              t.tgname)
              end
           || coalesce(format('; comment on trigger %I on %s is ', t.tgname, londiste.quote_fqname(i_table_name))
                       || quote_literal(obj_description(t.oid, 'pg_trigger')), '')))
from pg_trigger t
where t.tgrelid = londiste.find_table_oid(i_table_name)
  and not t.tgisinternal
  and coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0'
  and not londiste.is_own_trigger(t.oid)
order by t.tgname;
$$ language sql strict stable set search_path = pg_catalog, pg_temp;
