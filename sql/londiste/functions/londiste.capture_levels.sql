create or replace function londiste.capture_levels(
    i_capture londiste.capture, i_table oid,
    out op_insert text, out op_update text, out op_delete text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_levels(2)
--     Returns at which level each operation on a table is captured. The level decides the order of events, which must be one in
--     which subscribers can apply them.
--
--     statement - by a statement trigger, which fires after all row triggers of the statement. The cheapest level for many
--                 rows; right unless level early is needed.
--     row       - by a row trigger.
--     early     - by a row trigger with a name that sorts before almost all others, in particular before those of foreign keys,
--                 RI_ConstraintTrigger_...: triggers fire in the order of their names. The event of a row then comes before the
--                 events of all changes that other triggers and foreign keys make for that row.
--
--     Level early is needed when
--       - a foreign key that references the table follows updates (on update cascade, set null, set default): the change of the
--         referencing row must not come before the change of the referenced row;
--       - the user has an AFTER trigger for the operation, which may write to any table: a row trigger, or a statement trigger
--         whose name sorts before that of the capture trigger.
--
--     Level row is needed when
--       - statement triggers do not see exactly the changes of this table: londiste.capture_bypass;
--       - the table has foreign tables as partitions, which have no transition tables;
--       - the table is partitioned: the server adds row triggers to a partition when it is created or attached, and drops them
--         when it is detached, but not statement triggers; and after a MERGE some servers (16 to 18) show in the transition
--         table of new rows the row that MERGE inserted last, in place of each row that it updates. Version 10 is excepted:
--         there row triggers exist on single partitions only;
--       - (updates and deletes, since version 15) the table has several unique keys: one MERGE may free a value of a key and
--         insert the value again. Statement triggers of MERGE fire for inserts, then updates, then deletes; as row events,
--         updates and deletes come first.
--
--     Level row is also cheaper for updates and deletes of few rows, so a small table has it for them
--     (londiste.capture_is_small), and a table with capture auto has it for updates when its statements change few rows
--     (londiste.provider_adapt).
--
--     A partitioned table has either all operations at level statement or none. An update that moves a row to another partition
--     is an update to statement triggers, but a delete and an insert to row triggers: with both kinds of triggers, one kind
--     would miss the change, or both would capture it.
-- ----------------------------------------------------------------------
declare
    v_relations oid[] := array(select londiste.capture_relations(i_table));
    v_partitioned boolean := (select c.relkind = 'p' from pg_class c where c.oid = i_table);
    v_base text := case i_capture.capture when 'row' then 'row' else 'statement' end;
    v_early_update boolean;
    v_change text := v_base;
    v_user record;
begin
    if londiste.capture_bypass(i_table) is not null
        or exists (select 1
                   from pg_inherits h
                   join pg_class c on c.oid = h.inhrelid
                   where h.inhparent = any (v_relations) and c.relkind = 'f')
        or v_partitioned and current_setting('server_version_num')::int >= 110000
    then
        v_base := 'row';
    end if;
    if (current_setting('server_version_num')::int >= 150000
            and (select count(*) from pg_index i where i.indrelid = i_table and (i.indisunique or i.indisexclusion)) > 1)
        or i_capture.is_small
    then
        v_change := 'row';
    end if;

    v_early_update := exists (select 1
                              from pg_constraint c
                              where c.contype = 'f' and c.confupdtype in ('c', 'n', 'd')
                                and c.confrelid = any (v_relations));

    select coalesce(bool_or(t.tgtype & 4 <> 0), false) as on_insert,
           coalesce(bool_or(t.tgtype & 16 <> 0), false) as on_update,
           coalesce(bool_or(t.tgtype & 8 <> 0), false) as on_delete
    into v_user
    from pg_trigger t
    where t.tgrelid = any (v_relations)
      and not t.tgisinternal
      and t.tgenabled <> 'D'
      and t.tgtype & 66 = 0                 -- neither BEFORE nor INSTEAD OF
      and not t.tginitdeferred
      and not londiste.is_own_trigger(t.oid)
      and (t.tgtype & 1 <> 0 or t.tgname < (select x.trigger_name from londiste.provider_table x
                                            where x.queue_name = i_capture.queue_name and x.table_name = i_capture.table_name));

    op_insert := case when v_user.on_insert then 'early' else v_base end;
    op_update := case when v_user.on_update or v_early_update then 'early' when v_base = 'row' then v_base
                      when i_capture.capture = 'auto' and i_capture.update_level = 'row' and not v_partitioned then 'row'
                      else v_change end;
    op_delete := case when v_user.on_delete then 'early' when v_base = 'row' then v_base else v_change end;

    if v_partitioned and 'early' in (op_insert, op_update, op_delete) then
        op_insert := case when op_update = 'early' then op_update when op_insert = 'statement' then 'row' else op_insert end;
        op_update := case when op_update = 'statement' then 'row' else op_update end;
        op_delete := case when op_delete = 'statement' then 'row' else op_delete end;
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
