-- Tables, sequences and row types of schema pgq.
--
-- Re-runnable: nothing here changes what exists. The shape of older installations is brought up to this one by
-- upgrade.sql, which runs first.
--
-- Transaction ids are kept as bigint and txid_snapshot, and made by txid_current(), not by the newer xid8 family:
-- these column types are interface, and the txid functions exist in every server version from 10 on.

create schema if not exists pgq;

-- Consumers: names only. A row stays when its consumer unregisters.
create table if not exists pgq.consumer (
    co_id               serial,
    co_name             text not null,
    constraint consumer_pkey primary key (co_id),
    constraint consumer_name_uq unique (co_name)
);

-- Queues: configuration, position of the rotation, and the names of a queue's tables and sequences.
--     queue_ntables           how many event tables the queue has
--     queue_cur_table         number of the event table that takes new events
--     queue_rotation_period   time between two rotations
--     queue_switch_step1      transaction id of the last rotation (new events go to the new table once it is visible)
--     queue_switch_step2      a transaction id given out after that rotation was visible to all sessions; null until then
--     queue_switch_time       time of the last rotation
--     queue_external_ticker   ticks are inserted by pgq.ticker(4); pgq.ticker(1) raises an error
--     queue_disable_insert    insert_event raises an error, except in sessions with session_replication_role = replica
--     queue_ticker_paused     pgq.ticker(1) raises an error
--     queue_ticker_max_count  number of new events that calls for a tick
--     queue_ticker_max_lag    time since the last tick after which one new event calls for a tick
--     queue_ticker_idle_period  longest time without a tick when there are no new events
--     queue_per_tx_limit      largest number of events that one transaction may insert; null: no limit
--     queue_data_pfx          event tables are <queue_data_pfx>_0 .. <queue_data_pfx>_<queue_ntables - 1>
--     queue_event_seq         sequence of ev_id
--     queue_tick_seq          sequence of tick_id
--     queue_extra_maint       functions that each maintenance round calls with the queue's name
create table if not exists pgq.queue (
    queue_id                    serial,
    queue_name                  text not null,
    queue_ntables               integer not null default 3,
    queue_cur_table             integer not null default 0,
    queue_rotation_period       interval not null default '2 hours',
    queue_switch_step1          bigint not null default txid_current(),
    queue_switch_step2          bigint default txid_current(),
    queue_switch_time           timestamptz not null default now(),
    queue_external_ticker       boolean not null default false,
    queue_disable_insert        boolean not null default false,
    queue_ticker_paused         boolean not null default false,
    queue_ticker_max_count      integer not null default 500,
    queue_ticker_max_lag        interval not null default '3 seconds',
    queue_ticker_idle_period    interval not null default '1 minute',
    queue_per_tx_limit          integer,
    queue_data_pfx              text not null,
    queue_event_seq             text not null,
    queue_tick_seq              text not null,
    queue_extra_maint           text[],
    constraint queue_pkey primary key (queue_id),
    constraint queue_name_uq unique (queue_name)
);

-- Ticks: the points between batches. tick_snapshot tells which transactions had ended at the tick; tick_event_seq is the last
-- ev_id given out when it was read, right after the snapshot: events that the snapshot sees have no higher id.
create table if not exists pgq.tick (
    tick_queue          integer not null,
    tick_id             bigint not null,
    tick_time           timestamptz not null default now(),
    tick_snapshot       txid_snapshot not null default txid_current_snapshot(),
    tick_event_seq      bigint not null,
    constraint tick_pkey primary key (tick_queue, tick_id),
    constraint tick_queue_fkey foreign key (tick_queue) references pgq.queue (queue_id)
);

-- Subscriptions: where each consumer of a queue stands. The keys are those of PgQ 3, whose module for cooperative consumers
-- relies on them: a consumer and its subconsumers are rows with one sub_id.
--     sub_id          goes into ev_owner of the events that belong to this consumer alone; shared with its subconsumers
--     sub_last_tick   the tick that ended the last finished batch; of a subconsumer, the tick before its active batch, null
--                     between batches
--     sub_active      last time the consumer asked for or finished a batch
--     sub_batch       the active batch, null between batches
--     sub_next_tick   the tick that ends the active batch
--
-- Each batch updates its consumer's row twice: this is the table of the schema that bloats first while a session holds an old
-- snapshot. Hence the storage parameters below, and its place among the tables that each maintenance round vacuums.
create table if not exists pgq.subscription (
    sub_id              serial,
    sub_queue           integer not null,
    sub_consumer        integer not null,
    sub_last_tick       bigint,
    sub_active          timestamptz not null default now(),
    sub_batch           bigint,
    sub_next_tick       bigint,
    constraint subscription_pkey primary key (sub_queue, sub_consumer),
    constraint subscription_batch_idx unique (sub_batch),
    constraint sub_queue_fkey foreign key (sub_queue) references pgq.queue (queue_id),
    constraint sub_consumer_fkey foreign key (sub_consumer) references pgq.consumer (co_id)
);

-- Ids of batches, over all queues.
create sequence if not exists pgq.batch_id_seq;

-- Parent of all event tables; holds no rows. Grants on it are the pattern for the tables of new queues.
--     ev_owner    null, or the sub_id of the subscription that alone gets the event (a retried event)
--     ev_retry    null, or how many times the event has been retried
create table if not exists pgq.event_template (
    ev_id               bigint not null,
    ev_time             timestamptz not null,
    ev_txid             bigint not null default txid_current(),
    ev_owner            integer,
    ev_retry            integer,
    ev_type             text,
    ev_data             text,
    ev_extra1           text,
    ev_extra2           text,
    ev_extra3           text,
    ev_extra4           text
);

-- Events that wait to be put into their queue again. ev_owner is the sub_id of the subscription that gets them.
create table if not exists pgq.retry_queue (
    ev_retry_after      timestamptz not null,
    ev_queue            integer not null,
    ev_id               bigint not null,
    ev_time             timestamptz not null,
    ev_txid             bigint,
    ev_owner            integer not null,
    ev_retry            integer,
    ev_type             text,
    ev_data             text,
    ev_extra1           text,
    ev_extra2           text,
    ev_extra3           text,
    ev_extra4           text,
    constraint rq_pkey primary key (ev_owner, ev_id),
    constraint rq_queue_id_fkey foreign key (ev_queue) references pgq.queue (queue_id)
);
do $$
begin
    -- "create index if not exists" waits for writers of the table also when the index is there.
    if to_regclass('pgq.rq_retry_idx') is null then
        create index rq_retry_idx on pgq.retry_queue (ev_retry_after);
    end if;
end;
$$;

-- Events that a consumer has given up. ev_owner is the sub_id of its subscription.
create table if not exists pgq.failed_queue (
    ev_failed_reason    text,
    ev_failed_time      timestamptz not null,
    ev_id               bigint not null,
    ev_time             timestamptz not null,
    ev_txid             bigint,
    ev_owner            integer,
    ev_retry            integer,
    ev_type             text,
    ev_data             text,
    ev_extra1           text,
    ev_extra2           text,
    ev_extra3           text,
    ev_extra4           text,
    constraint fq_pkey primary key (ev_owner, ev_id)
);

-- Pages keep room for new versions of their rows, and autovacuum comes when 100 row versions are dead.
alter table pgq.queue set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);
alter table pgq.subscription
    set (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- Row types that the functions of PgQ 2.1 returned. The functions here return sets of columns; the types remain for
-- client code that names them.
do $$
declare
    v_type record;
begin
    for v_type in
        select t.name, t.cols
        from (values
            ('ret_queue_info', 'queue_name text, queue_ntables integer, queue_cur_table integer,
                queue_rotation_period interval, queue_switch_time timestamptz, queue_external_ticker boolean,
                queue_ticker_max_count integer, queue_ticker_max_lag interval, queue_ticker_idle_period interval,
                ticker_lag interval'),
            ('ret_consumer_info', 'queue_name text, consumer_name text, lag interval, last_seen interval,
                last_tick bigint, current_batch bigint, next_tick bigint'),
            ('ret_batch_info', 'queue_name text, consumer_name text, batch_start timestamptz, batch_end timestamptz,
                prev_tick_id bigint, tick_id bigint, lag interval'),
            ('ret_batch_event', 'ev_id bigint, ev_time timestamptz, ev_txid bigint, ev_retry integer, ev_type text,
                ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text')
        ) as t (name, cols)
    loop
        if to_regtype('pgq.' || v_type.name) is null then
            execute format('create type pgq.%I as (%s)', v_type.name, v_type.cols);
        end if;
    end loop;
end;
$$;
