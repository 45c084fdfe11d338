-- Runs first. Raises an error when schema pgq may not be changed, changes the tables of an older schema so that the other files
-- can be run on it, and finds out which rights every role has. On a database without schema pgq it creates the schema.
--
-- Upgraded are schemas of PgQ 2.x and of this or an older rlondiste. Queues, ticks, events, consumers, retried and failed events
-- stay; so do the triggers on tables, which from then on call the functions of the new schema.
-- Run by itself this file leaves a schema that lacks functions: it must be in one transaction with the files after it.

-- For this and all files after it: no function or operator is looked up where another role may have put one.
set local search_path = pg_catalog, pg_temp;

-- 1. May this schema be changed?
do $$
declare
    -- Version of these files, as in functions/pgq.rlondiste_version.sql.
    c_version   constant text := '0.2.0';
    v_version   text;
    v_foreign   text;
    v_missing   text;
    v_schema    constant oid := to_regnamespace('pgq');
begin
    if not exists (select 1 from pg_class c where c.relnamespace = v_schema)
       and not exists (select 1 from pg_proc p where p.pronamespace = v_schema) then
        return;
    end if;
    select e.extname || ' ' || e.extversion into v_version
    from pg_extension e
    where e.extname = 'pgq' or e.extnamespace = v_schema;
    if found then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('schema pgq belongs to the extension %s', v_version),
            hint = 'The extension can be used as it is; there is nothing to install.';
    end if;

    -- Before any function of the schema is called: does everything in it belong to a role whose rights we have?
    select format('%s owned by %s', o.name, pg_get_userbyid(o.owner)) into v_foreign
    from (select 'the schema' as name, n.nspowner as owner from pg_namespace n where n.nspname = 'pgq'
          union all
          select format('table %s', c.oid::regclass), c.relowner
          from pg_class c
          where c.relnamespace = v_schema and c.relkind in ('r', 'p', 'v', 'S')
          union all
          select format('function %s', p.oid::regprocedure), p.proowner
          from pg_proc p
          where p.pronamespace = v_schema) o
    where not pg_has_role(o.owner, 'usage')
    limit 1;
    if found then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('schema pgq cannot be changed by %s', current_user),
            detail = format('There is %s.', v_foreign),
            hint = 'Install as the owner of the schema.';
    end if;

    if to_regprocedure('pgq.rlondiste_version()') is not null then
        execute 'select pgq.rlondiste_version()' into v_version;
        if string_to_array(regexp_replace(v_version, '[^0-9.].*', ''), '.')::integer[]
           > string_to_array(c_version, '.')::integer[] then
            raise exception using
                errcode = 'object_not_in_prerequisite_state',
                message = format('schema pgq was installed by rlondiste %s, which is newer than this one', v_version),
                detail = format('This is rlondiste %s.', c_version),
                hint = 'Use the newer rlondiste.';
        end if;
        return;
    end if;

    v_version := null;
    if to_regprocedure('pgq.version()') is not null then
        execute 'select pgq.version()' into v_version;
    end if;
    select string_agg(format('pgq.%s', t), ', ') into v_missing
    from unnest(array['consumer', 'queue', 'tick', 'subscription', 'event_template', 'retry_queue', 'failed_queue']) t
    where to_regclass('pgq.' || t) is null;
    if v_version is null or v_version !~ '^2[.]' or v_missing is not null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'schema pgq is there, and is not one that can be upgraded',
            detail = format('Version: %s. Tables of PgQ 2 that are missing: %s.', coalesce(v_version, 'unknown'),
                            coalesce(v_missing, 'none')),
            hint = 'Only schemas of PgQ 2 and of rlondiste are upgraded. One of PgQ 3 can be used as it is.';
    end if;
    if (select a.atttypid <> 'pg_catalog.txid_snapshot'::regtype
        from pg_attribute a
        where a.attrelid = 'pgq.tick'::regclass and a.attname = 'tick_snapshot') then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = 'schema pgq keeps its snapshots in a type that is not the server''s own',
            hint = 'The type is that of the txid module for servers before 8.3. Move the database by dump and restore'
                   ' to one with the built-in type first.';
    end if;
end;
$$;

-- 2. One installer at a time, until the end of the transaction. While one installer creates the schema, another one waits for the
-- name. In an existing schema the lock on pgq.queue keeps installers apart; only the owner and holders of the right "admin" can
-- take this lock, and neither readers nor writers wait for it. Two installers that both find an empty schema are not kept apart:
-- one of them fails.
do $$
begin
    if to_regnamespace('pgq') is null then
        begin
            create schema pgq;
        exception
            when duplicate_schema or unique_violation then
                null;
        end;
    end if;
    if to_regclass('pgq.queue') is not null then
        lock table pgq.queue in share update exclusive mode;
    end if;
end;
$$;

-- 3. Which rights does every role have (grants.sql)? This is found out before any function is created, because every role has
-- EXECUTE on a new function until grants.sql has run. In a new schema: none. In a schema of PgQ 2, and of an rlondiste before
-- there were rights, EXECUTE on pgq.insert_event(text, text, text) stands for the rights of readers and writers together: when
-- the owner revokes it from public, both are closed.
do $$
declare
    v_public    text := '';
begin
    if has_function_privilege('public', to_regprocedure('pgq.insert_event(text,text,text)'), 'execute') then
        v_public := 'reader writer';
        if to_regprocedure('pgq._may_read()') is not null then
            v_public := concat_ws(' ',
                case when has_function_privilege('public', 'pgq._may_read()', 'execute') then 'reader' end,
                case when has_function_privilege('public', 'pgq._may_write()', 'execute') then 'writer' end);
        end if;
    elsif not coalesce(has_function_privilege('public', to_regprocedure('pgq._may_write()'), 'execute'), true)
          and has_function_privilege('public', to_regprocedure('pgq._may_read()'), 'execute') then
        v_public := 'reader';
    end if;
    perform set_config('pgq.install_public', v_public, true);
end;
$$;

-- 4. Functions that "create or replace" cannot change, because their result or the names of their arguments differ. Only these
-- are dropped. When something depends on such a function, a view of the user for example, the upgrade fails.
do $$
declare
    v_function  record;
begin
    for v_function in
        select p.oid::regprocedure as signature
        from (values
            ('pgq.batch_event_sql(bigint)', 'text', 'x_batch_id'),
            ('pgq.batch_event_tables(bigint)', 'SETOF text', 'x_batch_id'),
            ('pgq.create_queue(text)', 'integer', 'i_queue_name'),
            ('pgq.current_event_table(text)', 'text', 'x_queue_name'),
            ('pgq.drop_queue(text)', 'integer', 'x_queue_name'),
            ('pgq.drop_queue(text,boolean)', 'integer', 'x_queue_name,x_force'),
            ('pgq.event_failed(bigint,bigint,text)', 'integer', 'x_batch_id,x_event_id,x_reason'),
            ('pgq.event_retry(bigint,bigint,integer)', 'integer', 'x_batch_id,x_event_id,x_retry_seconds'),
            ('pgq.event_retry(bigint,bigint,timestamp with time zone)',
             'integer',
             'x_batch_id,x_event_id,x_retry_time'),
            ('pgq.event_retry_raw(text,text,timestamp with time zone,bigint,timestamp with time zone,'
             'integer,text,text,text,text,text,text)',
             'bigint',
             'x_queue,x_consumer,x_retry_after,x_ev_id,x_ev_time,x_ev_retry,x_ev_type,x_ev_data,'
             'x_ev_extra1,x_ev_extra2,x_ev_extra3,x_ev_extra4'),
            ('pgq.failed_event_count(text,text)', 'integer', 'x_queue_name,x_consumer_name'),
            ('pgq.failed_event_delete(text,text,bigint)', 'integer', 'x_queue_name,x_consumer_name,x_event_id'),
            ('pgq.failed_event_list(text,text)', 'SETOF pgq.failed_queue', 'x_queue_name,x_consumer_name'),
            ('pgq.failed_event_list(text,text,integer,integer)',
             'SETOF pgq.failed_queue',
             'x_queue_name,x_consumer_name,x_count,x_offset'),
            ('pgq.failed_event_retry(text,text,bigint)', 'bigint', 'x_queue_name,x_consumer_name,x_event_id'),
            ('pgq.finish_batch(bigint)', 'integer', 'x_batch_id'),
            ('pgq.force_tick(text)', 'bigint', 'i_queue_name'),
            ('pgq.get_batch_events(bigint)',
             'SETOF record',
             'x_batch_id,ev_id,ev_time,ev_txid,ev_retry,ev_type,ev_data,ev_extra1,ev_extra2,ev_extra3,'
             'ev_extra4'),
            ('pgq.get_batch_info(bigint)',
             'record',
             'x_batch_id,queue_name,consumer_name,batch_start,batch_end,prev_tick_id,tick_id,lag,'
             'seq_start,seq_end'),
            ('pgq.get_consumer_info()',
             'SETOF record',
             'queue_name,consumer_name,lag,last_seen,last_tick,current_batch,next_tick,pending_events'),
            ('pgq.get_consumer_info(text)',
             'SETOF record',
             'i_queue_name,queue_name,consumer_name,lag,last_seen,last_tick,current_batch,next_tick,'
             'pending_events'),
            ('pgq.get_consumer_info(text,text)',
             'SETOF record',
             'i_queue_name,i_consumer_name,queue_name,consumer_name,lag,last_seen,last_tick,'
             'current_batch,next_tick,pending_events'),
            ('pgq.get_queue_info()',
             'SETOF record',
             'queue_name,queue_ntables,queue_cur_table,queue_rotation_period,queue_switch_time,'
             'queue_external_ticker,queue_ticker_paused,queue_ticker_max_count,queue_ticker_max_lag,'
             'queue_ticker_idle_period,ticker_lag,ev_per_sec,ev_new,last_tick_id'),
            ('pgq.get_queue_info(text)',
             'SETOF record',
             'i_queue_name,queue_name,queue_ntables,queue_cur_table,queue_rotation_period,'
             'queue_switch_time,queue_external_ticker,queue_ticker_paused,queue_ticker_max_count,'
             'queue_ticker_max_lag,queue_ticker_idle_period,ticker_lag,ev_per_sec,ev_new,last_tick_id'),
            ('pgq.grant_perms(text)', 'integer', 'x_queue_name'),
            ('pgq.insert_event(text,text,text)', 'bigint', 'queue_name,ev_type,ev_data'),
            ('pgq.insert_event(text,text,text,text,text,text,text)',
             'bigint',
             'queue_name,ev_type,ev_data,ev_extra1,ev_extra2,ev_extra3,ev_extra4'),
            ('pgq.insert_event_raw(text,bigint,timestamp with time zone,integer,integer,text,text,text,'
             'text,text,text)',
             'bigint',
             'queue_name,ev_id,ev_time,ev_owner,ev_retry,ev_type,ev_data,ev_extra1,ev_extra2,ev_extra3,'
             'ev_extra4'),
            ('pgq.logtriga()', 'trigger', ''),
            ('pgq.logutriga()', 'trigger', ''),
            ('pgq.maint_retry_events()', 'integer', ''),
            ('pgq.maint_rotate_tables_step1(text)', 'integer', 'i_queue_name'),
            ('pgq.maint_rotate_tables_step2()', 'integer', ''),
            ('pgq.maint_tables_to_vacuum()', 'SETOF text', ''),
            ('pgq.next_batch(text,text)', 'bigint', 'i_queue_name,i_consumer_name'),
            ('pgq.register_consumer(text,text)', 'integer', 'x_queue_name,x_consumer_id'),
            ('pgq.register_consumer(text,text,bigint)', 'integer', 'x_queue_name,x_consumer_name,x_tick_pos'),
            ('pgq.register_consumer_at(text,text,bigint)', 'integer', 'x_queue_name,x_consumer_name,x_tick_pos'),
            ('pgq.sqltriga()', 'trigger', ''),
            ('pgq.ticker()', 'bigint', ''),
            ('pgq.ticker(text)', 'bigint', 'i_queue_name'),
            ('pgq.ticker(text,bigint)', 'bigint', 'x_queue_name,x_tick_id'),
            ('pgq.ticker(text,bigint,timestamp with time zone,bigint)',
             'bigint',
             'i_queue_name,i_tick_id,i_orig_timestamp,i_event_seq'),
            ('pgq.unregister_consumer(text,text)', 'integer', 'x_queue_name,x_consumer_name'),
            ('pgq.version()', 'text', '')
        ) as f (signature, result, arguments)
            join pg_proc p on p.oid = to_regprocedure(f.signature)
        where pg_get_function_result(p.oid) <> f.result
           or array_to_string(p.proargnames, ',') <> f.arguments
    loop
        execute format('drop function %s', v_function.signature);
    end loop;
end;
$$;

-- 5. Columns that PgQ 2 does not have.
do $$
declare
    v_queue     record;
begin
    if to_regclass('pgq.queue') is null then
        return;
    end if;
    -- Looked at first, because "alter table" waits for every reader also when there is nothing to change.
    if (select count(*) < 4
        from pg_attribute a
        where a.attrelid = 'pgq.queue'::regclass
          and a.attname in ('queue_disable_insert', 'queue_ticker_paused', 'queue_per_tx_limit', 'queue_extra_maint')) then
        alter table pgq.queue
            add column if not exists queue_disable_insert boolean not null default false,
            add column if not exists queue_ticker_paused boolean not null default false,
            add column if not exists queue_per_tx_limit integer,
            add column if not exists queue_extra_maint text[];
    end if;
    if exists (select 1
               from pg_attribute a
               where a.attrelid = 'pgq.subscription'::regclass and a.attname = 'sub_last_tick' and a.attnotnull) then
        alter table pgq.subscription alter column sub_last_tick drop not null;
    end if;

    if not exists (select 1 from pg_attribute a
                   where a.attrelid = 'pgq.tick'::regclass and a.attname = 'tick_event_seq') then
        alter table pgq.tick add column tick_event_seq bigint;
        -- The position of the sequence at these ticks is not known. One less than its position now makes the ticker see a new
        -- event, so that the next tick comes soon.
        for v_queue in
            select q.queue_id, q.queue_event_seq::regclass as event_seq from pgq.queue q
        loop
            execute format('update pgq.tick set tick_event_seq = (select greatest(last_value - 1, 0) from %s) where tick_queue = $1',
                           v_queue.event_seq)
            using v_queue.queue_id;
        end loop;
        alter table pgq.tick alter column tick_event_seq set not null;
    end if;
    if not exists (select 1 from pg_attribute a
                   where a.attrelid = 'pgq.retry_queue'::regclass and a.attname = 'ev_queue') then
        alter table pgq.retry_queue add column ev_queue integer;
        update pgq.retry_queue r
        set ev_queue = s.sub_queue
        from pgq.subscription s
        where s.sub_id = r.ev_owner;
        alter table pgq.retry_queue
            alter column ev_queue set not null,
            alter column ev_txid drop not null,
            alter column ev_txid drop default;
    end if;
end;
$$;

-- 6. Keys of PgQ 3, where sub_id may repeat. Older tables of retried and failed events refer to subscriptions by sub_id. When
-- another table refers to such a key, a table of the user for example, the upgrade fails.
do $$
declare
    v_constraint record;
begin
    if to_regclass('pgq.subscription') is null
       or exists (select 1
                  from pg_constraint c
                  where c.conrelid = to_regclass('pgq.subscription') and c.conname = 'subscription_batch_idx') then
        return;
    end if;
    for v_constraint in
        select c.conrelid::regclass as on_table, c.conname
        from pg_constraint c
        where c.conrelid in ('pgq.retry_queue'::regclass, 'pgq.failed_queue'::regclass)
          and c.confrelid = 'pgq.subscription'::regclass
        union all
        select c.conrelid::regclass, c.conname
        from pg_constraint c
        where c.conrelid = 'pgq.subscription'::regclass
          and c.contype in ('p', 'u')
    loop
        execute format('alter table %s drop constraint %I', v_constraint.on_table, v_constraint.conname);
    end loop;
    alter table pgq.subscription
        add constraint subscription_pkey primary key (sub_queue, sub_consumer),
        add constraint subscription_batch_idx unique (sub_batch);
    alter table pgq.retry_queue
        add constraint rq_queue_id_fkey foreign key (ev_queue) references pgq.queue (queue_id);
    alter table pgq.failed_queue
        alter column ev_txid drop not null,
        alter column ev_txid drop default;
    -- PgQ 2 has a second index on the columns of the primary key.
    drop index if exists pgq.rq_retry_owner_idx;
end;
$$;
