create or replace function pgq.get_queue_info(
    out queue_name text, out queue_ntables integer, out queue_cur_table integer, out queue_rotation_period interval,
    out queue_switch_time timestamptz, out queue_external_ticker boolean, out queue_ticker_paused boolean,
    out queue_ticker_max_count integer, out queue_ticker_max_lag interval, out queue_ticker_idle_period interval,
    out ticker_lag interval, out ev_per_sec double precision, out ev_new bigint, out last_tick_id bigint)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_queue_info(0)
--     Returns the settings and the state of all queues, in order of their names.
-- Returns:
--     as pgq.get_queue_info(1)
-- ----------------------------------------------------------------------
begin
    return query
    select f.*
    from (select q.queue_name as name from pgq.queue q order by 1) as names,
         lateral pgq.get_queue_info(names.name) f;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function pgq.get_queue_info(
    in i_queue_name text,
    out queue_name text, out queue_ntables integer, out queue_cur_table integer, out queue_rotation_period interval,
    out queue_switch_time timestamptz, out queue_external_ticker boolean, out queue_ticker_paused boolean,
    out queue_ticker_max_count integer, out queue_ticker_max_lag interval, out queue_ticker_idle_period interval,
    out ticker_lag interval, out ev_per_sec double precision, out ev_new bigint, out last_tick_id bigint)
returns setof record as $$
-- ----------------------------------------------------------------------
-- Function: pgq.get_queue_info(1)
--     Returns the settings and the state of a queue.
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     columns of pgq.queue, and
--     ticker_lag   - age of the last tick
--     ev_per_sec   - events a second over the last 20 minutes of ticks, by the event sequence; null when there is one tick,
--                    or the clock was set back in that time
--     ev_new       - events since the last tick, by the event sequence
--     last_tick_id - the last tick
--     No row when there is no such queue
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_last      record;
    v_first     record;
begin
    select q.* into v_queue from pgq.queue q where q.queue_name = i_queue_name;
    if not found then
        return;
    end if;
    select t.* into v_last
    from pgq.tick t
    where t.tick_queue = v_queue.queue_id
    order by t.tick_id desc
    limit 1;
    select t.* into v_first
    from pgq.tick t
    where t.tick_queue = v_queue.queue_id
      and t.tick_time > v_last.tick_time - interval '20 minutes'
    order by t.tick_id
    limit 1;

    get_queue_info.queue_name := v_queue.queue_name;
    queue_ntables := v_queue.queue_ntables;
    queue_cur_table := v_queue.queue_cur_table;
    queue_rotation_period := v_queue.queue_rotation_period;
    queue_switch_time := v_queue.queue_switch_time;
    queue_external_ticker := v_queue.queue_external_ticker;
    queue_ticker_paused := v_queue.queue_ticker_paused;
    queue_ticker_max_count := v_queue.queue_ticker_max_count;
    queue_ticker_max_lag := v_queue.queue_ticker_max_lag;
    queue_ticker_idle_period := v_queue.queue_ticker_idle_period;
    ticker_lag := now() - v_last.tick_time;
    if v_last.tick_time > v_first.tick_time then
        ev_per_sec := (v_last.tick_event_seq - v_first.tick_event_seq)
                      / extract(epoch from v_last.tick_time - v_first.tick_time)::double precision;
    end if;
    ev_new := pgq._event_seq(v_queue.queue_event_seq) - v_last.tick_event_seq;
    last_tick_id := v_last.tick_id;
    return next;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
