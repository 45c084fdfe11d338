create or replace function londiste.link(i_source_name text, i_dest_name text, i_tick_id bigint, i_table_list text, i_seq_list text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.link(5)
--     Declares a queue of this database to be the repetition of a queue that this database subscribes to. From then on the
--     repeating queue takes its ticks from outside, and its set of tables and sequences cannot be changed.
-- Parameters:
--     i_source_name   - the subscribed queue
--     i_dest_name     - the queue that repeats it; it has the same tables and sequences
--     i_tick_id       - the last tick of the source queue on its provider
--     i_table_list    - the tables of the source queue on its provider, separated by commas, in any order
--     i_seq_list      - the sequences of the source queue on its provider, likewise
-- Returns: null, as in Londiste 2.1
-- Raises: object_in_use when one of the queues is linked already; object_not_in_prerequisite_state when a list differs from what
--     is subscribed or from what the repeating queue has, or when the repeating queue has an external ticker or has reached
--     i_tick_id; undefined_object when it does not exist
-- Calls: londiste.cmp_list(4)
-- Writes: londiste.link, pgq.queue
-- Locks: the queue's row in pgq.queue, until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_queue     record;
    v_kind      record;
    v_last_tick bigint;
begin
    if exists (select 1 from londiste.link l where l.source = i_source_name or l.dest = i_dest_name) then
        raise exception using
            errcode = 'object_in_use',
            message = format('queue "%s" or "%s" is already linked', i_source_name, i_dest_name),
            hint = 'See table londiste.link; londiste.link_del(source, dest) takes a link away.';
    end if;

    for v_kind in
        select k.kind, k.list, k.subscribed, k.offered, k.name_column
        from (values
            ('tables', i_table_list, 'londiste.subscriber_table', 'londiste.provider_table', 'table_name'),
            ('sequences', i_seq_list, 'londiste.subscriber_seq', 'londiste.provider_seq', 'seq_name')
        ) as k (kind, list, subscribed, offered, name_column)
    loop
        if not londiste.cmp_list(v_kind.list, i_source_name, v_kind.subscribed, v_kind.name_column) then
            raise exception using
                errcode = 'object_not_in_prerequisite_state',
                message = format('this database is not subscribed to exactly these %s of queue "%s"', v_kind.kind, i_source_name),
                detail = format('The provider has: %s.', coalesce(nullif(v_kind.list, ''), 'none'));
        end if;
        if not londiste.cmp_list(v_kind.list, i_dest_name, v_kind.offered, v_kind.name_column) then
            raise exception using
                errcode = 'object_not_in_prerequisite_state',
                message = format('queue "%s" does not have exactly these %s', i_dest_name, v_kind.kind),
                detail = format('The provider has: %s.', coalesce(nullif(v_kind.list, ''), 'none'));
        end if;
    end loop;

    select q.queue_id, q.queue_external_ticker, q.queue_tick_seq
    into v_queue
    from pgq.queue q
    where q.queue_name = i_dest_name
    for update;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = format('no such queue: %s', i_dest_name);
    end if;
    if v_queue.queue_external_ticker then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('queue "%s" takes its ticks from outside already', i_dest_name);
    end if;
    -- Ids that the sequence has given out count too: a tick with a lower id would be older to consumers.
    v_last_tick := greatest(pgq.seq_getval(v_queue.queue_tick_seq),
                            (select max(t.tick_id) from pgq.tick t where t.tick_queue = v_queue.queue_id));
    if v_last_tick >= i_tick_id or i_tick_id is null then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('queue "%s" is at tick %s, which is not before tick %s of queue "%s"',
                             i_dest_name, v_last_tick, coalesce(i_tick_id::text, 'null'), i_source_name);
    end if;

    update pgq.queue set queue_external_ticker = true where queue_id = v_queue.queue_id;
    insert into londiste.link (source, dest) values (i_source_name, i_dest_name);
    return null;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
