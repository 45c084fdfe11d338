create or replace function londiste.capture_queue(
    i_queue_id int,
    out relations regclass[], out current_table int, out is_special boolean, out is_watched boolean)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_queue(1)
--     Returns what capture has to know of a queue. Volatile, so that it sees the queue as it is now, even when a stable or
--     immutable function calls it.
-- Returns:
--     relations     - parent of the event tables, the event tables in order, the event sequence
--     current_table - number of the current event table
--     is_special    - inserts are disabled or limited in number: only pgq.insert_event() can tell whether an event may be
--                     inserted
--     is_watched    - the trigger londiste.queue_changed is on pgq.queue and enabled
-- ----------------------------------------------------------------------
declare
    v_queue record;
begin
    select q.* into v_queue from pgq.queue q where q.queue_id = i_queue_id;
    if not found then
        return;
    end if;
    relations := array[to_regclass(v_queue.queue_data_pfx)]
        || array(select to_regclass(v_queue.queue_data_pfx || '_' || n.nr)
                 from generate_series(0, v_queue.queue_ntables - 1) n(nr) order by n.nr)
        || to_regclass(v_queue.queue_event_seq);
    current_table := v_queue.queue_cur_table;
    is_special := coalesce((to_jsonb(v_queue) ->> 'queue_disable_insert')::boolean, false)
        or to_jsonb(v_queue) ->> 'queue_per_tx_limit' is not null;
    is_watched := exists (select 1
                          from pg_trigger t
                          where t.tgrelid = 'pgq.queue'::regclass
                            and t.tgname = 'londiste_queue_changed'
                            and t.tgenabled in ('O', 'A'));
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
