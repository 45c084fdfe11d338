create or replace function londiste.capture_objects(i_capture londiste.capture, i_table oid, i_relation oid)
returns table (suffix text, trigger_name text, trigger_clause text, trigger_level text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_objects(3)
--     Returns the triggers that capture one relation. Each has a trigger function of its own.
--
--     Row triggers are created on the table, also when the table is partitioned: the server copies them to the partitions, to a
--     new one at once, and drops the copy when a partition is detached. Only in version 10 they are created on the partitions.
--     Statement triggers are created on every level, because a statement fires only those of the table that it names.
-- Returns:
--     suffix         - end of the function's name, after capture_NR_: i, u, d; r for all operations with a row trigger in one
--                      function; t for truncate; m for the mark before the truncate of a partitioned table
--     trigger_clause - text of "create trigger" between the name and "execute"; %s stands for the table
--     trigger_level  - row or statement
-- ----------------------------------------------------------------------
declare
    v_name text := (select t.trigger_name from londiste.provider_table t
                    where t.queue_name = i_capture.queue_name and t.table_name = i_capture.table_name);
    v_holds_rows boolean := (select c.relkind = 'r' from pg_class c where c.oid = i_relation);
    v_has_row_triggers boolean := case when current_setting('server_version_num')::int >= 110000 then i_relation = i_table
                                       else v_holds_rows end;
    v_levels record;
    v_op record;
    v_row_events text;
begin
    select * into v_levels from londiste.capture_levels(i_capture, i_table);

    for v_op in
        select *
        from (values ('i', 'insert', 'referencing new table as londiste_new', v_levels.op_insert),
                     ('u', 'update', 'referencing old table as londiste_old new table as londiste_new', v_levels.op_update),
                     ('d', 'delete', 'referencing old table as londiste_old', v_levels.op_delete)) v(op, event, tables, level)
        where v.level = 'statement' or v_has_row_triggers
    loop
        if v_op.level = 'row' and i_capture.capture = 'row' then
            v_row_events := concat_ws(' or ', v_row_events, v_op.event);
            continue;
        end if;
        suffix := v_op.op;
        trigger_name := case v_op.level when 'early' then '0_' else '' end || v_name || '_' || v_op.op;
        trigger_level := case v_op.level when 'statement' then 'statement' else 'row' end;
        trigger_clause := format('after %s on %%s %s for each %s', v_op.event,
                                 case trigger_level when 'statement' then v_op.tables end, trigger_level);
        return next;
    end loop;

    if v_row_events is not null then
        suffix := 'r';
        trigger_name := v_name;
        trigger_level := 'row';
        trigger_clause := format('after %s on %%s for each row', v_row_events);
        return next;
    end if;

    if not i_capture.has_truncate then
        return;
    end if;
    trigger_level := 'statement';
    if i_relation = i_table or v_holds_rows then
        suffix := 't';
        trigger_name := v_name || '_t';
        trigger_clause := format('%s truncate on %%s for each statement', case when i_relation = i_table then 'after' else 'before' end);
        return next;
    end if;
    if i_relation = i_table and not v_holds_rows then
        suffix := 'm';
        trigger_name := '0_' || v_name || '_t';
        trigger_clause := 'before truncate on %s for each statement';
        return next;
    end if;
end;
$$ language plpgsql stable rows 4 set search_path = pg_catalog, pg_temp;
