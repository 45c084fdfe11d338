create or replace function londiste.capture_generate(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_generate(2)
--     Brings the capture functions and triggers of a table up to date with the table, its partitions and its queue. Relations that
--     are in order are not touched and not locked.
-- Returns: 1 when something was changed, 0 when all was up to date
-- Writes: londiste.capture_relation, functions londiste.capture_NR_*, triggers
-- ----------------------------------------------------------------------
declare
    v_capture londiste.capture;
    v_table_oid oid;
    v_relations oid[];
    v_relation oid;
    v_changed int := 0;
begin
    select c.* into strict v_capture
    from londiste.capture c
    where c.queue_name = i_queue_name and c.table_name = i_table_name;

    v_table_oid := londiste.find_table_oid(i_table_name);
    if v_table_oid is null then
        raise exception using
            errcode = 'undefined_table',
            message = 'table not found',
            detail = format('There is no table %s in this database.', londiste.quote_fqname(i_table_name));
    end if;
    perform londiste.capture_check_key(v_table_oid, v_capture.key_columns);
    perform londiste.capture_watch_queue();
    v_capture.is_small := londiste.capture_is_small(v_capture, v_table_oid);
    update londiste.capture c
    set is_small = v_capture.is_small
    where c.queue_name = i_queue_name and c.table_name = i_table_name and c.is_small is distinct from v_capture.is_small;
    -- The table last: it cannot get a row trigger while a partition has one of the same name.
    v_relations := array(select r.oid from londiste.capture_relations(v_table_oid) r(oid) order by (r.oid = v_table_oid));

    -- Functions of partitions that are gone, or of a table that was dropped and made again.
    for v_relation in
        select r.relation
        from londiste.capture_relation r
        where r.queue_name = i_queue_name and r.table_name = i_table_name
          and r.relation <> all (v_relations)
    loop
        perform londiste.capture_drop_relation(i_queue_name, i_table_name, v_relation);
        v_changed := 1;
    end loop;

    foreach v_relation in array v_relations
    loop
        if londiste.capture_generate_relation(v_capture, v_table_oid, v_relation) then
            v_changed := 1;
        end if;
    end loop;
    return v_changed;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
