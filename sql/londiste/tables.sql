-- Tables and row types of schema londiste.
--
-- The tables of the first two groups have the shape of Londiste 2.1, so that an installation of either program can be used by the
-- other without a conversion. The tables of the groups "rlondiste's own" are additions. This file may run again over an existing
-- schema.
-- Locks: londiste.table_position in share mode until the end of the transaction

do $$
begin
    if pg_catalog.to_regnamespace('londiste') is null then
        create schema londiste;
    end if;
end;
$$;

-- Group: provider

create table if not exists londiste.provider_table (
    nr              serial not null,
    queue_name      text not null,
    table_name      text not null,
    trigger_name    text,
    primary key (queue_name, table_name)
);

create table if not exists londiste.provider_seq (
    nr              serial not null,
    queue_name      text not null,
    seq_name        text not null,
    primary key (queue_name, seq_name)
);

-- Group: subscriber

-- The tick up to which a consumer has applied the queue. The row is written in the transaction that applies the events, so that
-- each event is applied exactly once.
create table if not exists londiste.completed (
    consumer_id     text not null,
    last_tick_id    bigint not null,
    primary key (consumer_id)
);

create table if not exists londiste.link (
    source          text not null,
    dest            text not null,
    primary key (source),
    unique (dest)
);

create table if not exists londiste.subscriber_table (
    nr              serial not null,
    queue_name      text not null,
    table_name      text not null,
    snapshot        text,
    merge_state     text,
    trigger_name    text,
    skip_truncate   boolean,
    primary key (queue_name, table_name)
);

create table if not exists londiste.subscriber_seq (
    nr              serial not null,
    queue_name      text not null,
    seq_name        text not null,
    primary key (queue_name, seq_name)
);

create table if not exists londiste.subscriber_pending_fkeys (
    from_table      text not null,
    to_table        text not null,
    fkey_name       text not null,
    fkey_def        text not null,
    primary key (from_table, fkey_name)
);

create table if not exists londiste.subscriber_pending_triggers (
    table_name      text not null,
    trigger_name    text not null,
    trigger_def     text not null,
    primary key (table_name, trigger_name)
);

-- Group: rlondiste's own, provider

-- How a table is captured, as given when the table was added. A table of provider_table without a row here was added by the
-- original tools, and has a trigger that calls pgq.logtriga; or its queue has an external ticker, and it has no trigger.
create table if not exists londiste.capture (
    queue_name      text not null,
    table_name      text not null,
    capture         text not null,
    event_format    text not null check (event_format in ('sql', 'urlenc', 'json')),
    -- Columns that identify a row, as given when the table was added; null: the table's own key, looked up at each generation.
    key_columns     text[],
    -- Columns that are left out of the events.
    ignored_columns text[] not null default '{}',
    -- Result of londiste.capture_is_small() at the last generation.
    is_small        boolean,
    -- Since when the table has been in the set: a table that was taken out and added again has another time.
    captured_since  timestamptz not null default clock_timestamp(),
    -- Whether TRUNCATE makes an event, which subscribers of the original tools stop at.
    has_truncate    boolean not null default true,
    -- What londiste.provider_adapt() has found last: the level at which updates of a table with capture auto are cheapest (null:
    -- not known, statement), the columns that most updates change, those that are null in almost all rows, when, and from what.
    update_level    text check (update_level in ('statement', 'row')),
    hot_columns     text[],
    empty_columns   text[],
    adapted_at      timestamptz,
    adapted_to      text,
    constraint capture_way check (capture in ('auto', 'statement', 'row')),
    primary key (queue_name, table_name),
    foreign key (queue_name, table_name) references londiste.provider_table on delete cascade
);

-- The relations of a captured table for which functions are generated: the table and its partitions. nr is part of the functions'
-- names; the relation's oid is not, because oids change in a dump and restore.
-- table_oid is the captured table, relation the table or a partition of it. The oid identifies the captured table: another table that
-- gets the name later is a new table.
create table if not exists londiste.capture_relation (
    nr              serial not null,
    queue_name      text not null,
    table_name      text not null,
    table_oid       oid not null,
    relation        oid not null,
    -- All that the functions depend on, and their generator; see londiste.capture_relation_plan().
    plan            text not null,
    -- The catalog that the oids belong to, see londiste.catalog_id(); null: written by a release that did not store it.
    made_in         text,
    -- The triggers on the relation after the last generation, see londiste.capture_made().
    triggers        text,
    is_unlogged     boolean,
    primary key (nr),
    unique (queue_name, table_name, relation),
    foreign key (queue_name, table_name) references londiste.capture on delete cascade
);

-- The unlogged tables and partitions that are captured. A crash of the server empties them, and empties this table too.
create unlogged table if not exists londiste.capture_unlogged (
    relation        oid not null,
    primary key (relation)
);

-- The partitioned tables that a running statement truncates as a whole: a row exists between the statement's first and last trigger
-- on the table, so other transactions never see it. See londiste.capture_truncate_body().
create table if not exists londiste.capture_truncation (
    relation        oid not null,
    txid            bigint not null,
    primary key (relation)
);

-- Group: rlondiste's own, subscriber

-- The consumer of a table that is being copied or is parked: its events are read by this consumer until the table is handed over to
-- replay.
create table if not exists londiste.table_position (
    queue_name      text not null,
    table_name      text not null,
    consumer_id     text not null,
    -- Why the table's events cannot be applied, and since when; null: the table is not parked.
    parked_reason   text,
    parked_time     timestamptz,
    -- What an operator has to do, one sentence.
    parked_mend     text,
    primary key (queue_name, table_name)
);

-- A consumer name belongs to one copy at a time, in all queues together: londiste.completed has the name alone as its key.
do $$
begin
    -- "create index if not exists" waits for writers of the table also when the index is there.
    if to_regclass('londiste.table_position_consumer_idx') is null then
        create unique index table_position_consumer_idx on londiste.table_position (consumer_id);
    end if;
end;
$$;

-- When the last applied tick of a consumer was made, in UTC. The time identifies the tick: a provider that lost its last
-- transactions gives the number to another tick. The row is valid only while its tick_id is the last_tick_id in londiste.completed.
--     past_tick, past_at    where the consumer stood at some time within the last minute of its work, for the rate of its work
--     older_tick, older_at  the same, a minute or more before that
--     tick_snapshot         which transactions of the provider had ended at the tick
create table if not exists londiste.completed_tick (
    consumer_id     text not null,
    tick_id         bigint not null,
    tick_time       text not null,
    past_tick       bigint,
    past_at         timestamptz,
    older_tick      bigint,
    older_at        timestamptz,
    tick_snapshot   txid_snapshot,
    primary key (consumer_id)
);

-- Events of each table since its copy: those that were applied, by what they do; those that the copy had the effects of; and those of
-- the applied ones that found no row. Each batch updates the rows of its tables, hence the storage parameter.
create table if not exists londiste.ledger (
    queue_name      text not null,
    table_name      text not null,
    since           timestamptz not null default now(),
    inserts         bigint not null default 0,
    updates         bigint not null default 0,
    deletes         bigint not null default 0,
    truncates       bigint not null default 0,
    in_copy         bigint not null default 0,
    missing         bigint not null default 0,
    primary key (queue_name, table_name)
) with (fillfactor = 50);

-- Ranges of keys of each table, in their order, and when both sides were last found equal in each (verify_interval). A copy of the
-- table begins them anew.
--     from_key, to_key      the keys after from_key up to and with to_key, as text; null: without an end
--     rows, bytes           what the provider's range had at the last look, before the first one by its statistics; bytes of text
--     looked_at             when the last look began; null: there was none
--     equal_at              when the last look began that found no row that differs
--     unverified            rows that changed too often to be compared at the last look
--     differing, examples   rows that differed at the last look, and the first of them
--     problem               in the first range: why the last look at the table failed
create table if not exists londiste.verification (
    queue_name      text not null,
    table_name      text not null,
    range_nr        integer not null,
    from_key        text[],
    to_key          text[],
    rows            bigint not null default 0,
    bytes           bigint not null default 0,
    looked_at       timestamptz,
    equal_at        timestamptz,
    unverified      bigint not null default 0,
    differing       bigint not null default 0,
    examples        text[] not null default '{}',
    problem         text,
    primary key (queue_name, table_name, range_nr)
) with (fillfactor = 50);

-- The consumer that applies the events of a queue: the tables in state ok are up to date with its position.
create table if not exists londiste.queue_consumer (
    queue_name      text not null,
    consumer_id     text not null,
    primary key (queue_name)
);

-- Since when the provider had the table in the queue's set when its copy began: londiste.capture.captured_since, in UTC; empty
-- where that provider does not store it. When the provider has another time, or does not have the table any more, changes were not
-- captured.
create table if not exists londiste.table_source (
    queue_name      text not null,
    table_name      text not null,
    captured_since  text not null,
    primary key (queue_name, table_name),
    foreign key (queue_name, table_name) references londiste.subscriber_table on delete cascade
);

-- The queues whose unlogged tables on this subscriber have their rows still: a crash of the server empties this table as it empties
-- them. See londiste.subscriber_get_emptied_tables().
create unlogged table if not exists londiste.crash_mark (
    queue_name      text not null,
    primary key (queue_name)
);

-- The queues that have had a row in crash_mark.
create table if not exists londiste.crash_mark_set (
    queue_name      text not null,
    primary key (queue_name)
);

-- Why a foreign key of subscriber_pending_fkeys could not be created again at the last try.
create table if not exists londiste.fkey_failure (
    from_table      text not null,
    fkey_name       text not null,
    reason          text not null,
    fail_time       timestamptz not null default now(),
    primary key (from_table, fkey_name)
);

-- Events that are skipped instead of applied, by the order of an operator.
create table if not exists londiste.skipped_events (
    nr              bigserial not null,
    consumer        text not null,
    reason          text,
    skip_time       timestamptz not null default now(),
    ev_id           bigint not null,
    ev_time         timestamptz not null,
    ev_txid         bigint not null,
    ev_retry        int4,
    ev_type         text,
    ev_data         text,
    ev_extra1       text,
    ev_extra2       text,
    ev_extra3       text,
    ev_extra4       text,
    -- End tick of the batch in which the event was skipped; null: no batch with the event has been applied yet.
    done_tick       bigint,
    primary key (nr)
);

-- What the command "up" has made in this database, for "down". kind: schema (with an empty queue_name), queue, consumer, table, sequence.
create table if not exists londiste.up_made (
    queue_name      text not null,
    kind            text not null,
    object_name     text not null,
    primary key (queue_name, kind, object_name)
);

-- Group: rlondiste's own, both sides

-- Whether the tables that londiste.fence_arm() has armed can be written to: 1 - yes; microseconds since 1970 - not before this time;
-- 9223372036854775807 - no. A sequence, because it is never read in an old snapshot; its value is set, never drawn. A dump has it: a
-- copy of a closed database is closed.
create sequence if not exists londiste.fence_state minvalue 1 maxvalue 9223372036854775807;

-- What the fence has beside its state, in one row.
--     pass            the setting londiste.pass of sessions that may write nevertheless
--     message, hint   what writers are told while the fence is closed
create table if not exists londiste.fence (
    only_row        boolean not null default true check (only_row),
    pass            text,
    message         text,
    hint            text,
    primary key (only_row)
);

-- How far the switchover of a queue is; on both sides, and the row of the side that is left is the one that counts.
--     is_back         the way back: from the subscriber of the queue's job to its provider
--     phase           prepared - writers pass, or the new side alone is closed; fenced - the old side is closed for a time; final - it is
--                     closed for good; open - the new side is open; done; finished - and the way back was given up; undone
--     fence_until     the state that was given to the fence of the old side
--     new_was         the state of the fence of the new side before
--     fenced_at       when the phase became fenced
create table if not exists londiste.switchover (
    queue_name      text not null,
    is_back         boolean not null,
    phase           text not null,
    fence_until     bigint not null,
    new_was         bigint not null,
    fenced_at       timestamptz,
    changed_at      timestamptz not null default pg_catalog.clock_timestamp(),
    primary key (queue_name)
);

-- Group: row types

do $$
begin
    -- A column in the generator of capture functions.
    if pg_catalog.to_regtype('londiste.capture_column') is null then
        create type londiste.capture_column as (
            column_nr       int,
            column_name     text,
            column_type     oid,        -- for a domain its base type
            is_nullable     boolean,
            is_fixed        boolean,    -- values that are equal by = have the same text
            fragment_name   text        -- the name as events of format sql have it
        );
    end if;
    -- A relation, as the generator of capture functions sees it; see londiste.capture_shape().
    if pg_catalog.to_regtype('londiste.capture_shape') is null then
        create type londiste.capture_shape as (
            table_oid       oid,        -- the captured table
            relation        oid,        -- that table, or one of its partitions
            all_columns     londiste.capture_column[],
            key_columns     londiste.capture_column[]
        );
    end if;
    if pg_catalog.to_regtype('londiste.ret_provider_table_list') is null then
        create type londiste.ret_provider_table_list as (
            table_name      text,
            trigger_name    text
        );
    end if;
    if pg_catalog.to_regtype('londiste.ret_subscriber_table') is null then
        create type londiste.ret_subscriber_table as (
            table_name      text,
            merge_state     text,
            snapshot        text,
            trigger_name    text,
            skip_truncate   boolean
        );
    end if;
end;
$$;
