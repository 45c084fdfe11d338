create or replace function londiste.subscriber_get_queue_valid_pending_fkeys(i_queue_name text)
returns setof londiste.subscriber_pending_fkeys
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_get_queue_valid_pending_fkeys(1)
--     Returns the dropped foreign keys of a queue that can be created again: neither of their tables waits for a copy, is being
--     copied, or still needs the snapshot of its copy.
--
--     A table that is not subscribed has no state and does not hold its foreign keys back. A foreign key belongs to the queues
--     of its two tables; when neither table is subscribed any more, to every queue, so that it is created again all the same.
-- ----------------------------------------------------------------------
select f.*
from londiste.subscriber_pending_fkeys f
where not exists (
        select 1
        from londiste.subscriber_table t
        where t.table_name in (f.from_table, f.to_table)
          and (t.merge_state is null or t.merge_state not in ('ok', '?') or t.snapshot is not null))
  and (exists (
        select 1
        from londiste.subscriber_table t
        where t.table_name in (f.from_table, f.to_table)
          and t.queue_name = i_queue_name)
       or not exists (
        select 1
        from londiste.subscriber_table t
        where t.table_name in (f.from_table, f.to_table)))
order by f.from_table, f.fkey_name;
$$ language sql stable set search_path = pg_catalog, pg_temp;
