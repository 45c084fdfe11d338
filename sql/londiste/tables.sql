-- Tables and row types of schema londiste.
--
-- The first group has the shape of Londiste 2.1, so that an existing installation is taken over, and can be given back, as it
-- stands. The second group is rlondiste's own. Everything here may run again over an existing schema.

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

-- The tick up to which a consumer has applied the queue. It is written in the transaction that applies the events, which is what
-- makes them arrive exactly once.
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

-- How a table is captured: what its triggers were asked to do. Rows of provider_table without a row here were added by the
-- original tools and have the C trigger pgq.logtriga.
create table if not exists londiste.capture (
    queue_name      text not null,
    table_name      text not null,
    capture         text not null check (capture in ('statement', 'row')),
    event_format    text not null check (event_format in ('sql', 'urlenc', 'json')),
    -- Columns that identify a row, as asked for; null: the table's own key, looked up at each generation.
    key_columns     text[],
    -- Columns that are left out of the events.
    ignored_columns text[] not null default '{}',
    -- What londiste.capture_is_small() said last.
    is_small        boolean,
    primary key (queue_name, table_name),
    foreign key (queue_name, table_name) references londiste.provider_table on delete cascade
);

-- The relations of a captured table (itself, and its partitions) and the functions generated for each. The number, not the
-- relation's oid, names the functions: oids change in a dump and restore.
-- table_oid is the captured table, relation the table or a partition of it. A captured table is the one with this oid: another table that
-- gets its name later is a new table.
create table if not exists londiste.capture_relation (
    nr              serial not null,
    queue_name      text not null,
    table_name      text not null,
    table_oid       oid not null,
    relation        oid not null,
    -- What the functions were generated for, and by what; see londiste.capture_generate_relation().
    plan            text not null,
    -- The database whose oids these are, see londiste.catalog_id(); null: made by a release that did not note it.
    made_in         text,
    -- The triggers on the relation as they were left, see londiste.capture_made().
    triggers        text,
    is_unlogged     boolean,
    primary key (nr),
    unique (queue_name, table_name, relation),
    foreign key (queue_name, table_name) references londiste.capture on delete cascade
);

-- The unlogged tables and partitions that are captured. A crash of the server empties this table as it empties them.
create unlogged table if not exists londiste.capture_unlogged (
    relation        oid not null,
    primary key (relation)
);

-- The partitioned tables that a statement of the present transaction truncates as a whole, from its first trigger to its last: see
-- londiste.capture_truncate_body(). The rows are gone again before the transaction ends.
create table if not exists londiste.capture_truncation (
    relation        oid not null,
    txid            bigint not null,
    primary key (relation)
);

-- Group: rlondiste's own, subscriber

-- The consumer of a table that is being copied or is parked: such a table reads the queue by itself until it is handed over.
create table if not exists londiste.table_position (
    queue_name      text not null,
    table_name      text not null,
    consumer_id     text not null,
    -- Why the table's events cannot be applied, and since when; null: nothing is in the way.
    parked_reason   text,
    parked_time     timestamptz,
    -- What to do about it.
    parked_mend     text,
    primary key (queue_name, table_name)
);

-- A name belongs to one copy at a time, whichever queue the table is of: londiste.completed knows consumers only by name.
create unique index if not exists table_position_consumer_idx on londiste.table_position (consumer_id);

-- When the last applied tick of a consumer was made, in UTC: a provider that lost its last transactions gives the tick's number
-- to another tick. The row counts only while it has the number that londiste.completed has.
create table if not exists londiste.completed_tick (
    consumer_id     text not null,
    tick_id         bigint not null,
    tick_time       text not null,
    primary key (consumer_id)
);

-- The consumer whose position the tables of a queue rest on.
create table if not exists londiste.queue_consumer (
    queue_name      text not null,
    consumer_id     text not null,
    primary key (queue_name)
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

-- Why a foreign key of subscriber_pending_fkeys could not be made again at the last try.
create table if not exists londiste.fkey_failure (
    from_table      text not null,
    fkey_name       text not null,
    reason          text not null,
    fail_time       timestamptz not null default now(),
    primary key (from_table, fkey_name)
);

-- Events that are left out instead of applied, by the order of an operator.
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
    -- The end of the batch that left the event out; null: it has still to come.
    done_tick       bigint,
    primary key (nr)
);

-- Group: row types

do $$
begin
    -- A column as the generator of capture functions sees it.
    if pg_catalog.to_regtype('londiste.capture_column') is null then
        create type londiste.capture_column as (
            column_nr       int,
            column_name     text,
            column_type     oid,        -- a domain is resolved to the type below it
            is_nullable     boolean,
            is_fixed        boolean     -- equal values are the same value
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
