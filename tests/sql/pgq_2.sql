-- A schema in the shape of PgQ 2.1.8, made from its interface: the tables as they are there, and functions with its
-- results and with other argument names, whose bodies do nothing. One queue in the middle of its life.
create schema pgq;

create table pgq.consumer (co_id serial primary key, co_name text not null unique);
create table pgq.queue (
    queue_id serial primary key,
    queue_name text not null unique,
    queue_ntables integer not null default 3,
    queue_cur_table integer not null default 0,
    queue_rotation_period interval not null default '2 hours',
    queue_switch_step1 bigint not null default txid_current(),
    queue_switch_step2 bigint default txid_current(),
    queue_switch_time timestamptz not null default now(),
    queue_external_ticker boolean not null default false,
    queue_ticker_max_count integer not null default 500,
    queue_ticker_max_lag interval not null default '3 seconds',
    queue_ticker_idle_period interval not null default '1 minute',
    queue_data_pfx text not null,
    queue_event_seq text not null,
    queue_tick_seq text not null);
create table pgq.tick (
    tick_queue integer not null references pgq.queue (queue_id),
    tick_id bigint not null,
    tick_time timestamptz not null default now(),
    tick_snapshot txid_snapshot not null default txid_current_snapshot(),
    primary key (tick_queue, tick_id));
create sequence pgq.batch_id_seq;
create table pgq.subscription (
    sub_id serial primary key,
    sub_queue integer not null references pgq.queue (queue_id),
    sub_consumer integer not null references pgq.consumer (co_id),
    sub_last_tick bigint not null,
    sub_active timestamptz not null default now(),
    sub_batch bigint,
    sub_next_tick bigint,
    unique (sub_queue, sub_consumer));
create table pgq.event_template (
    ev_id bigint not null,
    ev_time timestamptz not null,
    ev_txid bigint not null default txid_current(),
    ev_owner integer,
    ev_retry integer,
    ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text);
create table pgq.retry_queue (
    ev_retry_after timestamptz not null,
    like pgq.event_template including defaults,
    primary key (ev_owner, ev_id),
    foreign key (ev_owner) references pgq.subscription (sub_id));
create index rq_retry_idx on pgq.retry_queue (ev_retry_after);
create index rq_retry_owner_idx on pgq.retry_queue (ev_owner, ev_id);
create table pgq.failed_queue (
    ev_failed_reason text,
    ev_failed_time timestamptz not null,
    like pgq.event_template including defaults,
    primary key (ev_owner, ev_id),
    foreign key (ev_owner) references pgq.subscription (sub_id));

create type pgq.ret_queue_info as (
    queue_name text, queue_ntables integer, queue_cur_table integer, queue_rotation_period interval,
    queue_switch_time timestamptz, queue_external_ticker boolean, queue_ticker_max_count integer,
    queue_ticker_max_lag interval, queue_ticker_idle_period interval, ticker_lag interval);
create type pgq.ret_consumer_info as (
    queue_name text, consumer_name text, lag interval, last_seen interval, last_tick bigint, current_batch bigint,
    next_tick bigint);
create type pgq.ret_batch_info as (
    queue_name text, consumer_name text, batch_start timestamptz, batch_end timestamptz, prev_tick_id bigint,
    tick_id bigint, lag interval);
create type pgq.ret_batch_event as (
    ev_id bigint, ev_time timestamptz, ev_txid bigint, ev_retry integer, ev_type text, ev_data text, ev_extra1 text,
    ev_extra2 text, ev_extra3 text, ev_extra4 text);

grant usage on schema pgq to public;
grant select on pgq.consumer, pgq.queue, pgq.tick, pgq.subscription, pgq.event_template, pgq.retry_queue,
    pgq.failed_queue to public;

create function pgq.version() returns text as $$ select '2.1.8'::text $$ language sql;
create function pgq.batch_event_sql(x_batch bigint) returns text as $$ select ''::text $$ language sql;
create function pgq.batch_event_tables(x_batch_id bigint) returns setof text as $$ select ''::text $$ language sql;
create function pgq.create_queue(i_queue_name text) returns integer as $$ select 0 $$ language sql security definer;
create function pgq.drop_queue(x_queue_name text) returns integer as $$ select 0 $$ language sql security definer;
create function pgq.finish_batch(x_batch_id bigint) returns integer as $$ select 0 $$ language sql security definer;
create function pgq.force_tick(x_queue text) returns bigint as $$ select 0::bigint $$ language sql security definer;
create function pgq.get_batch_events(x_batch_id bigint) returns setof pgq.ret_batch_event as
    $$ select null::pgq.ret_batch_event $$ language sql;
create function pgq.get_batch_info(x_batch_id bigint) returns pgq.ret_batch_info as
    $$ select null::pgq.ret_batch_info $$ language sql security definer;
create function pgq.get_consumer_info() returns setof pgq.ret_consumer_info as
    $$ select null::pgq.ret_consumer_info $$ language sql security definer;
create function pgq.get_consumer_info(x_queue_name text) returns setof pgq.ret_consumer_info as
    $$ select null::pgq.ret_consumer_info $$ language sql security definer;
create function pgq.get_consumer_info(x_queue_name text, x_consumer_name text) returns setof pgq.ret_consumer_info as
    $$ select null::pgq.ret_consumer_info $$ language sql security definer;
create function pgq.get_queue_info() returns setof pgq.ret_queue_info as
    $$ select null::pgq.ret_queue_info $$ language sql security definer;
create function pgq.get_queue_info(x_queue text) returns pgq.ret_queue_info as
    $$ select null::pgq.ret_queue_info $$ language sql security definer;
create function pgq.insert_event(queue_name text, ev_type text, ev_data text) returns bigint as
    $$ select 0::bigint $$ language sql;
create function pgq.insert_event(
    queue_name text, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$ select 0::bigint $$ language sql security definer;
create function pgq.next_batch(x_queue_name text, x_consumer_name text) returns bigint as
    $$ select 0::bigint $$ language sql security definer;
create function pgq.register_consumer(x_queue_name text, x_consumer_id text) returns integer as
    $$ select 0 $$ language sql;
create function pgq.ticker() returns bigint as $$ select 0::bigint $$ language sql security definer;
create function pgq.ticker(x_queue_name text) returns bigint as $$ select 0::bigint $$ language sql security definer;
create function pgq.ticker(x_queue_name text, x_tick_id bigint) returns bigint as
    $$ select 0::bigint $$ language sql security definer;
create function pgq.unregister_consumer(x_queue_name text, x_consumer_name text) returns integer as
    $$ select 0 $$ language sql security definer;
create function pgq.maint_retry_events() returns integer as $$ select 0 $$ language sql;
create function pgq.maint_rotate_tables_step1(i_queue_name text) returns integer as $$ select 0 $$ language sql;
create function pgq.maint_rotate_tables_step2() returns integer as $$ select 0 $$ language sql;
create function pgq.logtriga() returns trigger as $$ begin return null; end $$ language plpgsql;

create sequence pgq.event_1_id_seq;
create sequence pgq.event_1_tick_seq;
create table pgq.event_1 () inherits (pgq.event_template);
alter table pgq.event_1 alter column ev_id set default nextval('pgq.event_1_id_seq');
create table pgq.event_1_0 () inherits (pgq.event_1);
create table pgq.event_1_1 () inherits (pgq.event_1);
create table pgq.event_1_2 () inherits (pgq.event_1);
create index event_1_0_txid_idx on pgq.event_1_0 (ev_txid);
create index event_1_1_txid_idx on pgq.event_1_1 (ev_txid);
create index event_1_2_txid_idx on pgq.event_1_2 (ev_txid);
grant select on pgq.event_1, pgq.event_1_0, pgq.event_1_1, pgq.event_1_2, pgq.event_1_id_seq, pgq.event_1_tick_seq
    to public;
insert into pgq.queue (queue_name, queue_ticker_max_count, queue_data_pfx, queue_event_seq, queue_tick_seq)
values ('old', 77, 'pgq.event_1', 'pgq.event_1_id_seq', 'pgq.event_1_tick_seq');
insert into pgq.consumer (co_name) values ('busy'), ('idle');
