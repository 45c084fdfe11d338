create or replace function londiste.capture_replace(
    i_queue_name text, i_table_name text, i_capture text, i_event_format text, i_key_columns text[], i_ignored_columns text[])
returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_replace(6)
--     Captures a table that is in the set in another way from now on. The triggers are changed in one transaction, which holds
--     the table's lock, so every change is captured exactly once. When changes may have been written without events before, a
--     WARNING says so and the subscribers are told to copy the table again.
-- Parameters: i_capture, i_event_format, i_key_columns, i_ignored_columns - as the columns of londiste.capture
-- Returns: 1
-- Raises: as londiste.check_provider_queue and londiste.capture_generate; undefined_object when the table is not in the set
-- Warns, Writes: as londiste.capture_generate
-- Locks: the table and its partitions in access exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
    v_relation oid;
    v_since timestamptz;
    v_has_truncate boolean;
    v_capture londiste.capture;
    v_loss text;
begin
    perform londiste.check_provider_queue(i_queue_name);
    if not exists (select 1 from londiste.provider_table t
                   where t.queue_name = i_queue_name and t.table_name = v_table_name) then
        raise exception using
            errcode = 'undefined_object',
            message = 'no such table registered',
            detail = format('Table %s is not in the set of queue "%s".', v_table_name, i_queue_name);
    end if;

    -- What was done to the triggers that go, nobody could find out later.
    select c.* into v_capture
    from londiste.capture c
    where c.queue_name = i_queue_name and c.table_name = v_table_name;
    if found then
        perform londiste.capture_hold(v_capture, londiste.find_table_oid(v_table_name),
                                      array(select r.relation
                                            from londiste.capture_relation r
                                            join pg_class o on o.oid = r.relation
                                            where r.queue_name = i_queue_name and r.table_name = v_table_name), true);
        v_loss := (select k.loss from londiste.capture_check(i_queue_name, v_table_name) k);
    else
        v_loss := (select k.loss from londiste.capture_check_classic(i_queue_name, v_table_name) k);
    end if;

    for v_relation in
        select r.relation
        from londiste.capture_relation r
        where r.queue_name = i_queue_name and r.table_name = v_table_name
    loop
        perform londiste.capture_drop_relation(i_queue_name, v_table_name, v_relation);
    end loop;
    perform londiste.capture_drop_classic(i_queue_name, londiste.find_table_oid(v_table_name));

    delete from londiste.capture c
    where c.queue_name = i_queue_name and c.table_name = v_table_name
    returning c.captured_since, c.has_truncate into v_since, v_has_truncate;
    insert into londiste.capture (queue_name, table_name, capture, event_format, key_columns, ignored_columns, captured_since,
                                  has_truncate)
    values (i_queue_name, v_table_name, i_capture, i_event_format, i_key_columns, i_ignored_columns,
            coalesce(v_since, clock_timestamp()), coalesce(v_has_truncate, true));
    perform londiste.capture_generate(i_queue_name, v_table_name);
    if v_loss is not null then
        perform londiste.capture_report_loss(i_queue_name, v_table_name, v_loss);
    end if;
    return 1;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
