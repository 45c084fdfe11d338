create or replace function londiste.subscriber_get_queue_valid_pending_fkeys(i_queue_name text)
returns setof londiste.subscriber_pending_fkeys
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_get_queue_valid_pending_fkeys(1)
--     The dropped foreign keys that can be made again: neither of their tables is in the middle of a copy.
--
--     A table that no queue brings here never gets a state, so it does not hold its foreign keys back. The foreign key belongs to
--     the queue of one of its tables; one whose tables were both removed belongs to every queue, so that it does come back.
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
