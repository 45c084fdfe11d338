create or replace function londiste.capture_look(
    i_queue regclass[], i_queue_id int, i_table oid, i_relation oid,
    out current_table int, out mark text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_look(4)
--     Returns what londiste.capture_current has to know, with one query: a connection's first statement on each captured table pays for
--     it. Volatile, so that it sees the catalogs and the queue as they are now, even when an immutable function calls it.
-- Parameters: i_queue - as for londiste.capture_ready
-- Returns: both null when the schema pgq is another program's or is gone
--     current_table - number of the current event table; null when writers cannot rely on it: nobody watches the queue, or its
--                     inserts are disabled or limited in number
--     mark          - hash over the rows of the catalogs that londiste.capture_plan is made from, by the transactions that wrote
--                     them, and the relations of the queue: plan and relations are the same as long as the mark is. Another mark may stand
--                     for the same. Types are left out, because they do not change.
--
--     The types on both sides of each operator are the operator's own: a connection that looks for an operator of the right types
--     reads all operators of that name first.
-- ----------------------------------------------------------------------
begin
    if to_regprocedure('pgq.rlondiste_version()') is null then
        return;
    end if;
    select case when not q.queue_disable_insert and q.queue_per_tx_limit is null
                     and exists (select 1
                                 from pg_trigger t
                                 where t.tgrelid = 'pgq.queue'::regclass::oid and t.tgname = 'londiste_queue_changed'
                                   and t.tgenabled in ('O', 'A'))
                then q.queue_cur_table
           end,
           md5(concat_ws(' ', i_queue, q.queue_ntables, q.queue_data_pfx, q.queue_event_seq,
                     (select sum(a.xmin::text::bigint) from pg_attribute a where a.attrelid = i_table and a.attnum > 0),
                     (select sum(a.xmin::text::bigint) from pg_attribute a where a.attrelid = i_relation and a.attnum > 0),
                     (select sum(i.xmin::text::bigint) from pg_index i where i.indrelid = i_table and i.indisunique)))
    into current_table, mark
    from pgq.queue q
    where q.queue_id = i_queue_id;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;

-- A plan for any arguments at once: making a plan for the arguments of each of the first five calls is most of their cost.
do $$
begin
    if pg_catalog.current_setting('server_version_num')::int >= 120000 then
        alter function londiste.capture_look(regclass[], int, oid, oid) set plan_cache_mode = force_generic_plan;
    end if;
end;
$$;
