create or replace function londiste.capture_objects(i_capture londiste.capture, i_table oid, i_relation oid)
returns table (suffix text, trigger_name text, trigger_clause text, body text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_objects(3)
--     The triggers and trigger functions that capture one relation.
--
--     Row triggers stand on the relations that hold rows: a plain table, or the partitions. Statement triggers stand on every level:
--     a statement fires only those of the table that it names. TRUNCATE of a partitioned table is one event; the same of a
--     partition would empty the whole table at the subscriber, so it becomes deletes. As the former also truncates the partitions,
--     the table's trigger sets a mark before: its oid, because one statement may truncate other tables' partitions too.
-- Parameters:
--     i_table, i_relation - the captured table, and the table itself or a partition of it
-- Returns:
--     suffix         - end of the function's name, after capture_NR_
--     trigger_clause - what stands in create trigger between the name and "execute"; %s for the table
--     body           - PL/pgSQL statements of the function
-- ----------------------------------------------------------------------
declare
    v_name text := londiste.trigger_name(i_capture.queue_name);
    v_holds_rows boolean := (select c.relkind = 'r' from pg_class c where c.oid = i_relation);
    v_levels record;
    v_op record;
    v_rows text;
    v_row_events text;
begin
    select * into v_levels from londiste.capture_levels(i_capture, i_table);

    for v_op in
        select *
        from (values ('i', 'insert', 'referencing new table as londiste_new', v_levels.op_insert),
                     ('u', 'update', 'referencing old table as londiste_old new table as londiste_new', v_levels.op_update),
                     ('d', 'delete', 'referencing old table as londiste_old', v_levels.op_delete)) v(op, event, tables, level)
        where v.level = 'statement' or v_holds_rows
    loop
        if v_op.level = 'row' and i_capture.capture = 'row' then
            v_row_events := concat_ws(' or ', v_row_events, v_op.event);
            v_rows := concat(v_rows, format(E'if tg_op operator(pg_catalog.=) %L then\n    %s\nend if;\n', upper(v_op.event),
                replace(londiste.capture_body(i_capture, i_table, i_relation, v_op.op, 'row'), E'\n', E'\n    ')));
            continue;
        end if;
        suffix := v_op.op;
        trigger_name := case v_op.level when 'early' then '0_' else '' end || v_name || '_' || v_op.op;
        trigger_clause := case v_op.level
            when 'statement' then format('after %s on %%s %s for each statement', v_op.event, v_op.tables)
            else format('after %s on %%s for each row', v_op.event) end;
        body := londiste.capture_body(i_capture, i_table, i_relation, v_op.op,
                                      case v_op.level when 'statement' then 'statement' else 'row' end);
        return next;
    end loop;

    if v_rows is not null then
        suffix := 'r';
        trigger_name := v_name;
        trigger_clause := format('after %s on %%s for each row', v_row_events);
        body := v_rows || E'return null;\n';
        return next;
    end if;

    if i_relation = i_table then
        suffix := 't';
        trigger_name := v_name || '_t';
        trigger_clause := 'after truncate on %s for each statement';
        body := format(E'execute londiste.capture_statement(%L, %L, tg_relid, %L, %L);\n',
                       i_capture.queue_name, i_capture.table_name, 't', 'statement')
            || case when v_holds_rows then '' else E'perform pg_catalog.set_config(''londiste.truncating'', '''', true);\n' end
            || E'return null;\n';
        return next;
        if not v_holds_rows then
            suffix := 'm';
            trigger_name := '0_' || v_name || '_t';
            trigger_clause := 'before truncate on %s for each statement';
            body := E'perform pg_catalog.set_config(''londiste.truncating'', tg_relid::pg_catalog.text, true);\nreturn null;\n';
            return next;
        end if;
    elsif v_holds_rows then
        suffix := 't';
        trigger_name := v_name || '_t';
        trigger_clause := 'before truncate on %s for each statement';
        body := format(
E'if pg_catalog.current_setting(''londiste.truncating'', true) operator(pg_catalog.=)
   londiste.capture_root(%L, %L, tg_relid)::pg_catalog.text then
    return null;
end if;
perform londiste.capture_check_snapshot(tg_relid);
v_settings := londiste.capture_pin(null);
execute londiste.capture_statement(%L, %L, tg_relid, %L, %L);
perform londiste.capture_pin(v_settings);
return null;
', i_capture.queue_name, i_capture.table_name, i_capture.queue_name, i_capture.table_name, 'd', 'table');
        return next;
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
