create or replace function londiste.capture_add(
    i_queue_name text, i_table_name text, i_capture text, i_event_format text, i_key_columns text[], i_ignored_columns text[],
    i_has_truncate boolean)
returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_add(7)
--     Adds a table to a queue's set and starts to capture it; called by all forms of londiste.provider_add_table. In a queue
--     with an external ticker the table is only added: the program that repeats another queue here writes the events, in the
--     transaction that changes the tables.
-- Parameters: i_capture, i_event_format, i_key_columns, i_ignored_columns, i_has_truncate - as the columns of londiste.capture
-- Returns: 1, or 0 when the table is in the set already
-- Raises: as londiste.check_provider_queue and londiste.capture_generate; undefined_table when there is no such table;
--     invalid_parameter_value; object_not_in_prerequisite_state when a partition of the table, or a table of which it is a
--     partition, is in the set
-- Warns: 01L01 for an unlogged table
-- Writes: londiste.provider_table, and as londiste.capture_generate
-- Locks: as londiste.capture_generate and londiste.capture_drop_classic
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
    v_table_oid oid;
    v_repeats boolean;
    v_other text;
begin
    perform londiste.check_provider_queue(i_queue_name);

    v_table_oid := londiste.find_table_oid(v_table_name);
    if v_table_oid is null then
        raise exception using
            errcode = 'undefined_table',
            message = 'table not found',
            detail = format('There is no table %s in this database.', londiste.quote_fqname(v_table_name));
    end if;
    if i_capture not in ('auto', 'statement', 'row') or i_event_format not in ('sql', 'urlenc', 'json') then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('cannot capture "%s" events of format "%s"', i_capture, i_event_format),
            hint = 'Capture is auto, statement or row, the format is sql, urlenc or json.';
    end if;

    -- Triggers would write the events of such a queue a second time.
    v_repeats := exists (select 1 from pgq.queue q where q.queue_name = i_queue_name and q.queue_external_ticker);

    insert into londiste.provider_table (queue_name, table_name, trigger_name)
    values (i_queue_name, v_table_name, null)
    on conflict do nothing;
    if not found then
        return 0;
    elsif v_repeats then
        return 1;
    end if;
    select r.table_name into v_other
    from londiste.capture_relation r
    join londiste.capture_tree(v_table_oid) t(relation) on t.relation = r.table_oid
    join pg_class c on c.oid = r.table_oid
    where r.queue_name = i_queue_name and r.table_name <> v_table_name and (c.relispartition or c.relkind = 'p')
      and coalesce(r.made_in = (select londiste.catalog_id()), true)
    limit 1;
    if found then
        raise exception using
            errcode = 'object_not_in_prerequisite_state',
            message = format('table %s shares rows with table %s, which is in the set of the queue', v_table_name, v_other),
            detail = 'One of them is a partition of the other: each of its changes would become two events.',
            hint = format('Take %s out of the set first (provider remove).', v_other);
    end if;

    insert into londiste.capture (queue_name, table_name, capture, event_format, key_columns, ignored_columns, has_truncate)
    values (i_queue_name, v_table_name, i_capture, i_event_format, i_key_columns, i_ignored_columns, i_has_truncate);

    perform londiste.capture_drop_classic(i_queue_name, v_table_oid);
    perform londiste.capture_generate(i_queue_name, v_table_name);
    if exists (select 1
               from londiste.capture_relations(v_table_oid) r(relation)
               join pg_class c on c.oid = r.relation
               where c.relpersistence = 'u') then
        raise warning using
            errcode = '01L01',
            message = format('table %s is unlogged: a crash of the server empties it', v_table_name),
            hint = 'Subscribers copy it again after a crash. alter table ... set logged keeps its rows.';
    end if;
    return 1;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
