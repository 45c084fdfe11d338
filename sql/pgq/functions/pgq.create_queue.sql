create or replace function pgq.create_queue(i_queue_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.create_queue(1)
--     Creates a queue: its row, sequences, event tables, and first tick.
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     1 - created
--     0 - a queue of this name exists already
-- Calls:
--     pgq._check_name(2), pgq.tune_storage(1), pgq.grant_perms(1)
-- Writes:
--     pgq.queue, pgq.tick; creates pgq.event_N, its children and sequences
-- Locks:
--     the name: another session that creates a queue of this name waits until this transaction ends
-- ----------------------------------------------------------------------
declare
    v_id        integer;
    v_parent    text;
    v_child     text;
    v_ntables   integer;
begin
    if i_queue_name is null then
        raise exception using
            errcode = 'null_value_not_allowed',
            message = 'Invalid NULL value',
            hint = 'Give the queue a name.';
    elsif exists (select 1 from pgq.queue q where q.queue_name = i_queue_name) then
        return 0;
    end if;
    perform pgq._check_name('queue', i_queue_name);

    -- A second session that creates a queue of the same name waits here until the first one has ended.
    v_id := nextval('pgq.queue_queue_id_seq'::regclass);
    v_parent := format('event_%s', v_id);
    insert into pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq)
    values (v_id, i_queue_name, format('pgq.%s', v_parent),
            format('pgq.%s', v_parent || '_id_seq'), format('pgq.%s', v_parent || '_tick_seq'))
    on conflict (queue_name) do nothing
    returning queue_ntables into v_ntables;
    if not found then
        return 0;
    end if;

    perform pgq._run_ddl(format('create sequence pgq.%s', v_parent || '_id_seq'));
    perform pgq._run_ddl(format('create sequence pgq.%s', v_parent || '_tick_seq'));
    perform pgq._run_ddl(format('create table pgq.%s () inherits (pgq.event_template)', v_parent));
    perform pgq._run_ddl(format('alter table pgq.%s alter column ev_id set default pg_catalog.nextval(%L::pg_catalog.regclass)',
                   v_parent, format('pgq.%s', v_parent || '_id_seq')));
    for v_nr in 0 .. v_ntables - 1 loop
        v_child := format('%s_%s', v_parent, v_nr);
        perform pgq._run_ddl(format('create table pgq.%s () inherits (pgq.%s)', v_child, v_parent));
        perform pgq._run_ddl(format('create index %s on pgq.%s (ev_txid)', v_child || '_txid_idx', v_child));
    end loop;

    perform pgq.tune_storage(i_queue_name);
    perform pgq.grant_perms(i_queue_name);

    insert into pgq.tick (tick_queue, tick_id, tick_event_seq)
    select q.queue_id, nextval(q.queue_tick_seq::regclass), pgq._event_seq(q.queue_event_seq)
    from pgq.queue q
    where q.queue_id = v_id;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
