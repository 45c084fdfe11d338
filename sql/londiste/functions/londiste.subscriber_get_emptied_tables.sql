create or replace function londiste.subscriber_get_emptied_tables(i_queue_name text) returns setof text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_get_emptied_tables(1)
--     The subscribed tables whose copied rows a crash of this server has taken: those that are unlogged, or have an unlogged partition,
--     when the queue's mark is gone. Changes nothing, and takes no lock but that of a reader of the catalog.
--
--     The mark stands in an unlogged table, which a crash empties together with all other unlogged tables. That the mark was set stands in
--     a table that is logged. So a table that somebody has made unlogged a moment before the crash is found too.
-- Returns: names of tables, in the order in which they were added; none when the mark was never set, or is there
-- ----------------------------------------------------------------------
begin
    if not exists (select 1 from londiste.crash_mark_set s where s.queue_name = i_queue_name)
        or exists (select 1 from londiste.crash_mark m where m.queue_name = i_queue_name)
    then
        return;
    end if;
    return query
    select t.table_name
    from londiste.subscriber_table t
    where t.queue_name = i_queue_name
      -- Other states have no rows yet.
      and t.merge_state <> 'in-copy'
      and exists (select 1
                  from londiste.capture_relations(londiste.find_table_oid(t.table_name)) r(relation)
                  join pg_class c on c.oid = r.relation
                  where c.relpersistence = 'u')
    order by t.nr;
end;
$$ language plpgsql security definer stable set search_path = pg_catalog, pg_temp;
