-- Functions that do their work, over the schema of pgq_2.sql: what PgQ 2.1.8 does for its callers, in plain SQL and PL/pgSQL
-- and without its care for speed. A queue of this schema can be filled, ticked and read.
create function pgq.insert_event_raw(
    queue_name text, ev_id bigint, ev_time timestamptz, ev_owner integer, ev_retry integer, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
declare
    q record;
    new_id bigint;
begin
    select * into q from pgq.queue where queue.queue_name = $1;
    if not found then
        raise exception 'No such queue';
    end if;
    new_id := nextval(q.queue_event_seq);
    execute format('insert into %s_%s (ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2,
        ev_extra3, ev_extra4) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)', q.queue_data_pfx, q.queue_cur_table)
        using coalesce($2, new_id), coalesce($3, now()), $4, $5, $6, $7, $8, $9, $10, $11;
    return coalesce($2, new_id);
end;
$$ language plpgsql;

create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$ select pgq.insert_event_raw($1, null, now(), null, null, $2, $3, $4, $5, $6, $7) $$
language sql security definer;
create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text) returns bigint as
    $$ select pgq.insert_event($1, $2, $3, null, null, null, null) $$ language sql;

-- The classic row trigger: arguments are the queue, a letter for each live column (k key, v value, else ignored) and the
-- table's name, which is not used.
create or replace function pgq.logtriga() returns trigger as $$
declare
    col record;
    old_value text;
    new_value text;
    names text[] := '{}';
    news text[] := '{}';
    changes text[] := '{}';
    keys text[] := '{}';
    ev_data text;
begin
    for col in
        select quote_ident(attname) as name, attname,
               substr(tg_argv[1], row_number() over (order by attnum)::int, 1) as letter
        from pg_attribute where attrelid = tg_relid and attnum > 0 and not attisdropped order by attnum
    loop
        if tg_op <> 'INSERT' then
            execute format('select ($1).%I::text', col.attname) into old_value using old;
        end if;
        if tg_op <> 'DELETE' then
            execute format('select ($1).%I::text', col.attname) into new_value using new;
        end if;
        continue when col.letter not in ('k', 'v');
        names := names || col.name;
        news := news || coalesce(quote_literal(new_value), 'null');
        if tg_op = 'UPDATE' and old_value is distinct from new_value then
            changes := changes || format('%s=%s', col.name, coalesce(quote_literal(new_value), 'NULL'));
        end if;
        if col.letter = 'k' and tg_op <> 'INSERT' then
            keys := keys || format('%s=%s', col.name, quote_literal(old_value));
        end if;
    end loop;
    if tg_op = 'INSERT' then
        ev_data := format('(%s) values (%s)', array_to_string(names, ','), array_to_string(news, ','));
    elsif tg_op = 'UPDATE' then
        ev_data := array_to_string(coalesce(nullif(changes, '{}'), keys[1:1]), ',')
            || ' where ' || array_to_string(keys, ' and ');
    else
        ev_data := array_to_string(keys, ' and ');
    end if;
    perform pgq.insert_event(tg_argv[0], left(tg_op, 1), ev_data, tg_table_schema || '.' || tg_table_name,
                             null, null, null);
    return null;
end;
$$ language plpgsql;

create or replace function pgq.ticker(x_queue_name text, x_tick_id bigint) returns bigint as $$
    insert into pgq.tick (tick_queue, tick_id) select queue_id, $2 from pgq.queue where queue_name = $1 returning tick_id
$$ language sql security definer;
create or replace function pgq.ticker(x_queue_name text) returns bigint as $$
    insert into pgq.tick (tick_queue, tick_id)
    select queue_id, nextval(queue_tick_seq) from pgq.queue where queue_name = $1 and not queue_external_ticker
    returning tick_id
$$ language sql security definer;
create or replace function pgq.force_tick(x_queue text) returns bigint as $$
    select setval(queue_event_seq, nextval(queue_event_seq) + queue_ticker_max_count * 2)
    from pgq.queue where queue_name = $1 and not queue_external_ticker;
    select max(tick_id) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = $1
$$ language sql security definer;

create or replace function pgq.register_consumer(x_queue_name text, x_consumer_name text, x_tick_pos bigint)
returns integer as $$
declare
    x_queue integer;
    x_tick bigint;
    x_consumer integer;
begin
    select queue_id into x_queue from pgq.queue where queue_name = x_queue_name;
    if not found then
        raise exception 'Event queue not created yet';
    end if;
    insert into pgq.consumer (co_name) values (x_consumer_name) on conflict do nothing;
    select co_id into x_consumer from pgq.consumer where co_name = x_consumer_name;
    if x_tick_pos is not null
       and not exists (select from pgq.tick where tick_queue = x_queue and tick_id = x_tick_pos) then
        raise exception 'cannot reposition, tick not found: %', x_tick_pos;
    end if;
    if exists (select from pgq.subscription where sub_queue = x_queue and sub_consumer = x_consumer) then
        if x_tick_pos is not null then
            if exists (select from pgq.subscription
                       where sub_queue = x_queue and sub_consumer = x_consumer and sub_batch is not null) then
                raise exception 'reposition while active not allowed';
            end if;
            update pgq.subscription set sub_last_tick = x_tick_pos, sub_active = now()
            where sub_queue = x_queue and sub_consumer = x_consumer;
        end if;
        return 0;
    end if;
    select coalesce(x_tick_pos, max(tick_id)) into x_tick from pgq.tick where tick_queue = x_queue;
    if x_tick is null then
        raise exception 'No ticks for this queue.  Please run ticker on database.';
    end if;
    insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick) values (x_queue, x_consumer, x_tick);
    return 1;
end;
$$ language plpgsql security definer;
drop function pgq.register_consumer(text, text);
create function pgq.register_consumer(x_queue_name text, x_consumer_id text) returns integer as
    $$ select pgq.register_consumer($1, $2, null::bigint) $$ language sql;
create or replace function pgq.unregister_consumer(x_queue_name text, x_consumer_name text) returns integer as $$
    with gone as (
        delete from pgq.subscription using pgq.queue, pgq.consumer
        where queue_id = sub_queue and co_id = sub_consumer and queue_name = $1 and co_name = $2 returning 1)
    select count(*)::int from gone
$$ language sql security definer;

create or replace function pgq.next_batch(x_queue_name text, x_consumer_name text) returns bigint as $$
declare
    s record;
    x_next bigint;
    x_batch bigint;
begin
    select sub_id, sub_queue, sub_last_tick, sub_batch into s
    from pgq.subscription join pgq.queue on queue_id = sub_queue join pgq.consumer on co_id = sub_consumer
    where queue_name = x_queue_name and co_name = x_consumer_name for update of subscription;
    if not found then
        raise exception 'Not subscriber to queue: %/%', x_queue_name, x_consumer_name;
    end if;
    if s.sub_batch is not null then
        return s.sub_batch;
    end if;
    select min(tick_id) into x_next from pgq.tick where tick_queue = s.sub_queue and tick_id > s.sub_last_tick;
    if x_next is null then
        return null;
    end if;
    update pgq.subscription set sub_batch = nextval('pgq.batch_id_seq'), sub_next_tick = x_next, sub_active = now()
    where sub_id = s.sub_id returning sub_batch into x_batch;
    return x_batch;
end;
$$ language plpgsql security definer;
create or replace function pgq.finish_batch(x_batch_id bigint) returns integer as $$
begin
    update pgq.subscription
    set sub_last_tick = sub_next_tick, sub_batch = null, sub_next_tick = null, sub_active = now()
    where sub_batch = x_batch_id;
    if not found then
        raise warning 'finish_batch: batch % not found', x_batch_id;
        return 0;
    end if;
    return 1;
end;
$$ language plpgsql security definer;
create or replace function pgq.get_batch_info(x_batch_id bigint) returns pgq.ret_batch_info as $$
    select row(queue_name, co_name, prev.tick_time, cur.tick_time, sub_last_tick, sub_next_tick,
               current_timestamp - cur.tick_time)::pgq.ret_batch_info
    from pgq.subscription join pgq.queue on queue_id = sub_queue join pgq.consumer on co_id = sub_consumer
        left join pgq.tick cur on cur.tick_queue = sub_queue and cur.tick_id = sub_next_tick
        left join pgq.tick prev on prev.tick_queue = sub_queue and prev.tick_id = sub_last_tick
    where sub_batch = $1
$$ language sql security definer;
create or replace function pgq.batch_event_sql(x_batch bigint) returns text as $$
    select format('select ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4'
        ' from %s ev where txid_visible_in_snapshot(ev_txid, %L) and not txid_visible_in_snapshot(ev_txid, %L)'
        ' and (ev_owner is null or ev_owner = %s) order by 1',
        queue_data_pfx, cur.tick_snapshot, prev.tick_snapshot, sub_id)
    from pgq.subscription join pgq.queue on queue_id = sub_queue
        join pgq.tick cur on cur.tick_queue = sub_queue and cur.tick_id = sub_next_tick
        join pgq.tick prev on prev.tick_queue = sub_queue and prev.tick_id = sub_last_tick
    where sub_batch = $1
$$ language sql;
create or replace function pgq.get_batch_events(x_batch_id bigint) returns setof pgq.ret_batch_event as $$
begin
    return query execute pgq.batch_event_sql(x_batch_id);
end;
$$ language plpgsql;
create function pgq.event_failed(x_batch_id bigint, x_event_id bigint, x_reason text) returns integer as $$
    insert into pgq.failed_queue (ev_failed_reason, ev_failed_time, ev_owner, ev_id, ev_time, ev_txid, ev_retry, ev_type,
                                  ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    select $3, now(), sub_id, e.ev_id, e.ev_time, e.ev_txid, e.ev_retry, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2,
           e.ev_extra3, e.ev_extra4
    from pgq.subscription, pgq.get_batch_events($1) e where sub_batch = $1 and e.ev_id = $2;
    select 1
$$ language sql security definer;

create or replace function pgq.get_queue_info() returns setof pgq.ret_queue_info as $$
    select queue_name, queue_ntables, queue_cur_table, queue_rotation_period, queue_switch_time, queue_external_ticker,
           queue_ticker_max_count, queue_ticker_max_lag, queue_ticker_idle_period,
           (select current_timestamp - max(tick_time) from pgq.tick where tick_queue = queue_id)
    from pgq.queue order by 1
$$ language sql security definer;
create or replace function pgq.get_queue_info(x_queue text) returns pgq.ret_queue_info as
    $$ select i from pgq.get_queue_info() i where queue_name = $1 $$ language sql security definer;
create or replace function pgq.get_consumer_info() returns setof pgq.ret_consumer_info as $$
    select queue_name, co_name, current_timestamp - tick_time, current_timestamp - sub_active, sub_last_tick, sub_batch,
           sub_next_tick
    from pgq.subscription join pgq.queue on queue_id = sub_queue join pgq.consumer on co_id = sub_consumer
        left join pgq.tick on tick_queue = sub_queue and tick_id = sub_last_tick order by 1, 2
$$ language sql security definer;
create or replace function pgq.get_consumer_info(x_queue_name text) returns setof pgq.ret_consumer_info as
    $$ select i.* from pgq.get_consumer_info() i where queue_name = $1 $$ language sql security definer;
create or replace function pgq.get_consumer_info(x_queue_name text, x_consumer_name text)
returns setof pgq.ret_consumer_info as
    $$ select i.* from pgq.get_consumer_info($1) i where consumer_name = $2 $$ language sql security definer;

create or replace function pgq.maint_tables_to_vacuum() returns setof text as
    $$ select unnest(array['pgq.subscription', 'pgq.queue', 'pgq.tick', 'pgq.consumer', 'pgq.retry_queue']) $$ language sql;
