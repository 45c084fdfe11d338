create or replace function londiste.capture_generate(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_generate(2)
--     Brings the capture functions and triggers of a table up to date with the table, its partitions and its queue. Relations
--     that are up to date are neither changed nor locked.
--
--     When changes may have been written without events (londiste.capture_check), a WARNING says why, and the subscribers are
--     told to copy the table again. That is done even when the table has no key: its events then name rows by all columns.
--
--     Somebody may change the triggers between that look and the end, and then no later look finds out, because the triggers are
--     stored as they are then. So relations that lose triggers, or whose triggers are enabled, are locked, and looked at once
--     more under the lock (londiste.capture_hold); the triggers of the others are compared when they are stored
--     (londiste.capture_store_made).
--
--     A table that provider remove takes out of the set meanwhile is left alone. That a table is in the set is looked for once
--     more, under a lock, before the first change: who removes a table locks its row of provider_table first.
-- Returns: 1 when something was changed, 0 when all was up to date, or the table is not in the set any more
-- Raises: undefined_table when there is no table of this name; as londiste.capture_check_key, as
--     londiste.drop_trigger, as londiste.capture_create_trigger, as londiste.capture_enable
-- Warns: 01L01 for changes without events, a table without key, a renamed table
-- Writes: londiste.capture, provider_table, capture_relation, capture_unlogged; functions londiste.capture_NR_*, triggers, an
--     event T
-- Locks: until the end of the transaction each relation that gets or enables a trigger in share row exclusive mode, each that
--     loses one in access exclusive mode; the table's row of provider_table; pgq.queue as londiste.capture_watch_queue
-- ----------------------------------------------------------------------
declare
    v_capture londiste.capture;
    v_queue_id int := (select q.queue_id from pgq.queue q where q.queue_name = i_queue_name);
    v_check record;
    v_relations oid[];
    v_relation oid;
    v_again record;
    v_held oid[];
    v_name text;
    v_common text;
    v_changed boolean;
begin
    select c.* into v_capture
    from londiste.capture c
    where c.queue_name = i_queue_name and c.table_name = i_table_name;
    if not found then
        return 0;
    end if;

    select * into v_check from londiste.capture_check(i_queue_name, i_table_name);
    if v_check.table_oid is null then
        raise exception using
            errcode = 'undefined_table',
            message = 'table not found',
            detail = format('There is no table %s in this database.', londiste.quote_fqname(i_table_name));
    end if;
    begin
        perform londiste.capture_check_key(v_check.table_oid, v_capture.key_columns);
    exception
        when invalid_table_definition or undefined_column then
            if v_check.loss is null then
                raise;
            end if;
            raise warning using
                errcode = '01L01',
                message = format('table %s of queue "%s" is captured without a key: %s', i_table_name, i_queue_name, sqlerrm);
    end;

    perform londiste.capture_watch_queue();
    v_capture.is_small := londiste.capture_is_small(v_capture, v_check.table_oid);
    update londiste.capture c
    set is_small = v_capture.is_small
    where c.queue_name = i_queue_name and c.table_name = i_table_name and c.is_small is distinct from v_capture.is_small;

    -- The table comes last: a table cannot get a row trigger while a partition has a trigger of the same name.
    v_relations := array(select r.oid from londiste.capture_relations(v_check.table_oid) r(oid) order by (r.oid = v_check.table_oid));
    v_changed := v_check.loss is not null or v_check.is_restored
        or exists (select 1
                   from londiste.capture_relation r
                   full join unnest(v_relations) u(relation)
                       on r.relation = u.relation and r.queue_name = i_queue_name and r.table_name = i_table_name
                   where (u.relation is not null or r.queue_name = i_queue_name and r.table_name = i_table_name)
                     and case
                             when r.relation is null or u.relation is null then true
                             else (r.plan = londiste.capture_relation_plan(
                                                u.relation, (select londiste.capture_common_plan(v_capture, v_check.table_oid)),
                                                londiste.capture_plan(v_check.table_oid, u.relation, v_capture.key_columns),
                                                (select l.mark
                                                 from londiste.capture_queue(v_queue_id) c
                                                 cross join lateral londiste.capture_look(c.relations, v_queue_id, v_check.table_oid, u.relation) l))
                                   and r.triggers = londiste.capture_made(i_queue_name, i_table_name, u.relation)) is not true
                         end);
    if v_check.remark is not null then
        raise warning using
            errcode = '01L01',
            message = format('table %s of queue "%s": %s', i_table_name, i_queue_name, v_check.remark),
            hint = format('Rename it back, or take %s out of the set and add %s.', i_table_name, v_check.table_oid::regclass);
    end if;
    if not v_changed then
        return 0;
    end if;
    perform 1
    from londiste.provider_table t
    where t.queue_name = i_queue_name and t.table_name = i_table_name
    for key share;
    if not found then
        return 0;
    end if;

    v_held := londiste.capture_hold(v_capture, v_check.table_oid, v_relations, v_check.is_restored);
    if v_held <> '{}' then
        select * into v_again from londiste.capture_check(i_queue_name, i_table_name);
        if v_again.table_oid is distinct from v_check.table_oid or v_again.is_restored <> v_check.is_restored then
            return londiste.capture_generate(i_queue_name, i_table_name);
        end if;
        v_check.loss := coalesce(v_check.loss, v_again.loss);
    end if;

    -- Drops the functions of partitions that no longer exist, and of a table that is no longer the captured one.
    for v_relation in
        select r.relation
        from londiste.capture_relation r
        where r.queue_name = i_queue_name and r.table_name = i_table_name
          and (v_check.is_restored or r.relation <> all (v_relations))
    loop
        perform londiste.capture_drop_relation(i_queue_name, i_table_name, v_relation);
    end loop;

    update londiste.provider_table t
    set trigger_name = londiste.capture_trigger_name(i_queue_name, i_table_name, v_check.table_oid)
    where t.queue_name = i_queue_name and t.table_name = i_table_name;
    -- No trigger is created before all that go are dropped: see londiste.drop_trigger.
    foreach v_relation in array v_relations
    loop
        for v_name in select londiste.capture_misfits(v_capture, v_check.table_oid, v_relation)
        loop
            perform londiste.drop_trigger(v_relation, v_name);
        end loop;
    end loop;
    v_common := londiste.capture_common_plan(v_capture, v_check.table_oid);
    foreach v_relation in array v_relations
    loop
        perform londiste.capture_generate_relation(v_capture, v_check.table_oid, v_relation, v_common);
    end loop;
    perform londiste.capture_enable(i_queue_name, i_table_name, v_check.table_oid);
    if londiste.capture_store_made(i_queue_name, i_table_name, v_held) and v_check.loss is null then
        v_check.loss := 'its capture triggers were dropped, disabled or changed';
    end if;
    insert into londiste.capture_unlogged (relation)
    select r.relation
    from londiste.capture_relation r
    where r.queue_name = i_queue_name and r.table_name = i_table_name and r.is_unlogged
    on conflict do nothing;
    if v_check.loss is not null then
        perform londiste.capture_report_loss(i_queue_name, i_table_name, v_check.loss);
    end if;
    return 1;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp set quote_all_identifiers = off;
