-- Prepares an existing schema londiste for the files that are installed after this one. On a database without the schema only
-- creates the schema.
--
-- A schema of Londiste 2.1 keeps its tables and rows. Its functions are dropped here and created by the files that follow, because
-- "create or replace" raises an error where argument names or the result differ. A schema of Londiste 3 is refused.
-- Raises: object_not_in_prerequisite_state
-- Locks: until the end of the transaction londiste.completed in share update exclusive mode, and each table
--     that gets a new column in access exclusive mode

do $$
declare
    foreign_table text;
begin
    if to_regnamespace('londiste') is null then
        return;
    end if;

    foreign_table := coalesce(to_regclass('londiste.table_info'), to_regclass('londiste.seq_info'))::text;
    if foreign_table is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'schema "londiste" of this database belongs to another program',
            detail = format('It has the table %s, which is Londiste 3''s.', foreign_table),
            hint = 'Use another database, or take Londiste 3 out of this one first (drop extension londiste, or its schema).';
    end if;
end;
$$;

-- One installer at a time, until the end of the transaction. While one session creates the schema, the others wait for the schema's
-- name; in an existing schema they wait for the lock on londiste.completed. Only the owner can take that lock, and neither readers nor
-- writers wait for it.
do $$
begin
    if to_regnamespace('londiste') is null then
        begin
            create schema londiste;
        exception
            when duplicate_schema or unique_violation then
                null;
        end;
    end if;
    if to_regclass('londiste.completed') is not null then
        lock table londiste.completed in share update exclusive mode;
    end if;
end;
$$;

-- Columns that older versions of rlondiste lack, and rows that they left. The catalog is searched first, because "alter table" waits
-- for every reader even when there is nothing to change.
do $$
begin
    if to_regclass('londiste.table_position') is not null then
        if not exists (select from pg_catalog.pg_attribute a
                       where a.attrelid = to_regclass('londiste.table_position') and a.attname = 'parked_mend')
        then
            alter table londiste.table_position add column parked_mend text;
        end if;
        -- Several tables with one consumer name, before the unique index: one keeps the name, the other copies begin again.
        with doubled as (
            select p.ctid, p.queue_name, p.table_name,
                   pg_catalog.row_number() over (partition by p.consumer_id order by p.queue_name, p.table_name) as nr
            from londiste.table_position p),
        deleted as (
            delete from londiste.table_position p using doubled d where p.ctid = d.ctid and d.nr > 1
            returning p.queue_name, p.table_name)
        update londiste.subscriber_table t
        set merge_state = null, snapshot = null
        from deleted d
        where t.queue_name = d.queue_name and t.table_name = d.table_name and t.merge_state not in ('ok', '?');
    end if;
    if to_regclass('londiste.skipped_events') is not null
        and not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = to_regclass('londiste.skipped_events') and a.attname = 'done_tick')
    then
        alter table londiste.skipped_events add column done_tick bigint;
    end if;
    if to_regclass('londiste.completed_tick') is not null
        and not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = to_regclass('londiste.completed_tick') and a.attname = 'past_tick')
    then
        alter table londiste.completed_tick
            add column past_tick bigint, add column past_at timestamptz,
            add column older_tick bigint, add column older_at timestamptz;
    end if;
    if to_regclass('londiste.completed_tick') is not null
        and not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = to_regclass('londiste.completed_tick') and a.attname = 'tick_snapshot')
    then
        alter table londiste.completed_tick add column tick_snapshot txid_snapshot;
    end if;
    if to_regclass('londiste.capture') is not null
        and not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = to_regclass('londiste.capture') and a.attname = 'is_small')
    then
        alter table londiste.capture add column is_small boolean;
        alter table londiste.capture_relation add column made_in text, add column triggers text, add column is_unlogged boolean;
    end if;
    if to_regclass('londiste.capture') is not null
        and not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = to_regclass('londiste.capture') and a.attname = 'captured_since')
    then
        alter table londiste.capture add column captured_since timestamptz not null default pg_catalog.clock_timestamp();
    end if;
    if to_regclass('londiste.capture') is not null
        and not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = to_regclass('londiste.capture') and a.attname = 'has_truncate')
    then
        alter table londiste.capture add column has_truncate boolean not null default true;
    end if;
    if to_regclass('londiste.capture') is not null
        and not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = to_regclass('londiste.capture') and a.attname = 'hot_columns')
    then
        alter table londiste.capture
            add column update_level text check (update_level in ('statement', 'row')), add column hot_columns text[],
            add column empty_columns text[], add column adapted_at timestamptz, add column adapted_to text,
            drop constraint if exists capture_capture_check,
            add constraint capture_way check (capture in ('auto', 'statement', 'row'));
    end if;
end;
$$;

-- Functions of older versions of rlondiste that have other arguments now.
drop function if exists londiste.is_own_trigger(text);
drop function if exists londiste.trigger_name(text);
drop function if exists londiste.capture_enabled(text);
drop function if exists londiste.capture_create_trigger(oid, text, text, text, "char");
drop function if exists londiste.capture_insert(text, oid, text);
drop function if exists londiste.capture_insert(text, text, text);
drop function if exists londiste.capture_add(text, text, text, text, text[], text[]);
do $$
begin
    -- The first versions had other arguments of the same types.
    if exists (select from pg_catalog.pg_proc p
               where p.oid = to_regprocedure('londiste.cmp_list(text, text, text, text)') and p.proargnames[4] = 'i_condition')
    then
        drop function londiste.cmp_list(text, text, text, text);
        drop function if exists londiste.link(text, text, bigint, text, text);
    end if;
    if to_regclass('londiste.capture') is not null and to_regtype('londiste.capture_column') is not null then
        if not exists (select from pg_catalog.pg_attribute a
                       where a.attrelid = (select t.typrelid from pg_catalog.pg_type t where t.oid = to_regtype('londiste.capture_column'))
                         and a.attname = 'fragment_name')
        then
            alter type londiste.capture_column add attribute fragment_name text;
        end if;
        drop function if exists londiste.capture_settings(londiste.capture_column[]);
        drop function if exists londiste.capture_generate_relation(londiste.capture, oid, oid);
        drop function if exists londiste.capture_relation_plan(londiste.capture, oid, oid, text);
        drop function if exists londiste.capture_relation_plan(oid, text, text);
        drop function if exists londiste.capture_used_columns(londiste.capture, oid, oid);
        drop function if exists londiste.capture_fragment_names(londiste.capture_column[]);
        drop function if exists londiste.capture_create(int, londiste.capture, oid, oid);
        drop function if exists londiste.capture_create(int, londiste.capture, oid, oid, text);
        drop function if exists londiste.capture_function(londiste.capture, oid, oid, text, text);
        drop function if exists londiste.capture_body(londiste.capture, oid, oid, text, text);
        if to_regtype('londiste.capture_shape') is not null then
            if exists (select from pg_catalog.pg_proc p
                       where p.oid = to_regprocedure('londiste.capture_walk(londiste.capture, text, londiste.capture_shape)')
                         and p.proargnames[2] = 'i_event_table')
            then
                drop function londiste.capture_walk(londiste.capture, text, londiste.capture_shape);
            end if;
            drop function if exists londiste.capture_function(londiste.capture, londiste.capture_shape, text, text, text);
            drop function if exists londiste.capture_body(londiste.capture, londiste.capture_shape, text, text, text);
            drop function if exists londiste.capture_event_source(londiste.capture, londiste.capture_shape, text, text);
            drop function if exists londiste.capture_branch(londiste.capture, text, londiste.capture_shape, text, text);
        end if;
        drop function if exists londiste.capture_branch(londiste.capture, text, oid, oid, text, text);
        drop function if exists londiste.capture_walk(londiste.capture, text, oid, oid);
        drop function if exists londiste.capture_event_source(londiste.capture, oid, oid, text, text);
        drop function if exists londiste.capture_event(
            londiste.capture, oid, text, londiste.capture_column[], londiste.capture_column[], text);
    end if;
end;
$$;

-- Functions of Londiste 2.1. A function on which another object depends, for example a view of the user, makes the upgrade fail.
do $$
declare
    v_function  regprocedure;
begin
    if to_regnamespace('londiste') is null or to_regprocedure('londiste.rlondiste_version()') is not null then
        return;
    end if;
    for v_function in
        select p.oid
        from pg_catalog.pg_proc p
        where p.pronamespace = to_regnamespace('londiste')
          and p.proname in (
            'cmp_list', 'find_column_types', 'find_rel_oid', 'find_seq_oid', 'find_table_fkeys', 'find_table_oid',
            'find_table_triggers', 'get_last_tick', 'get_table_state', 'link', 'link_del', 'link_dest', 'link_source',
            'provider_add_seq', 'provider_add_table', 'provider_create_trigger', 'provider_get_seq_list',
            'provider_get_table_list', 'provider_notify_change', 'provider_refresh_trigger', 'provider_remove_seq',
            'provider_remove_table', 'quote_fqname', 'set_last_tick', 'set_table_state', 'subscriber_add_seq',
            'subscriber_add_table', 'subscriber_drop_all_table_triggers', 'subscriber_drop_table_fkey',
            'subscriber_drop_table_trigger', 'subscriber_get_queue_valid_pending_fkeys', 'subscriber_get_seq_list',
            'subscriber_get_table_list', 'subscriber_get_table_pending_fkeys', 'subscriber_get_table_pending_triggers',
            'subscriber_remove_seq', 'subscriber_remove_table', 'subscriber_restore_all_table_triggers',
            'subscriber_restore_table_fkey', 'subscriber_restore_table_trigger', 'subscriber_set_skip_truncate',
            'subscriber_set_table_state', 'version')
    loop
        execute format('drop function %s', v_function);
    end loop;
end;
$$;

-- Columns that early releases of Londiste 2.1 lack.
do $$
begin
    if to_regclass('londiste.subscriber_table') is null then
        return;
    end if;
    -- "add column if not exists" waits for readers of the table also when the column is there.
    if not exists (select from pg_catalog.pg_attribute a
                   where a.attrelid = to_regclass('londiste.subscriber_table') and a.attname = 'trigger_name') then
        alter table londiste.subscriber_table add column trigger_name text;
    end if;
    if not exists (select from pg_catalog.pg_attribute a
                   where a.attrelid = to_regclass('londiste.subscriber_table') and a.attname = 'skip_truncate') then
        alter table londiste.subscriber_table add column skip_truncate boolean;
    end if;
    if not exists (select from pg_catalog.pg_attribute a
                   where a.attrelid = to_regclass('londiste.ret_subscriber_table') and a.attname = 'skip_truncate') then
        drop type if exists londiste.ret_subscriber_table;
    end if;
end;
$$;
