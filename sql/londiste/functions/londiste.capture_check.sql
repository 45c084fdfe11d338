create or replace function londiste.capture_check(
    i_queue_name text, i_table_name text,
    out table_oid oid, out is_restored boolean, out loss text, out remark text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_check(2)
--     Tells whether all changes of a captured table have become events since its triggers were created. Changes nothing, and
--     takes only the locks of a reader of the catalog.
-- Parameters: i_table_name - name of the table as in londiste.capture
-- Returns:
--     table_oid   - the table to capture from now on; null: there is none
--     is_restored - the oids in londiste.capture_relation are those of another catalog
--     loss        - why changes may be missing, so that subscribers have to copy the table again; null: none are missing
--     remark      - a fact that an operator should know although no change is missing; null: none
-- ----------------------------------------------------------------------
declare
    v_named oid := londiste.find_table_oid(i_table_name);
    v_known oid;
    v_made_in text;
    v_bypass text;
    v_enabled "char";
begin
    select r.table_oid, r.made_in into v_known, v_made_in
    from londiste.capture_relation r
    where r.queue_name = i_queue_name and r.table_name = i_table_name
    order by r.relation = r.table_oid desc, r.nr desc
    limit 1;
    is_restored := coalesce(v_made_in <> londiste.catalog_id(), false);

    -- 1. Which table is to be captured.
    table_oid := v_named;
    if v_known is null then
        return;
    elsif is_restored then
        if v_named is null then
            return;
        end if;
    elsif not exists (select 1 from pg_class c where c.oid = v_known) then
        if v_named is not null and v_made_in is not null then
            loss := 'the table was dropped and created again';
        end if;
    elsif v_named is null then
        table_oid := v_known;
        remark := format('the table is called %s now; its changes go on under the old name', v_known::regclass);
    elsif v_named <> v_known and v_made_in is not null then
        loss := format('another table has its name; the one that was captured is called %s now', v_known::regclass);
    end if;
    if loss is not null or table_oid is null then
        return;
    end if;

    -- 2. Whether the table's triggers are those that were created.
    if is_restored or v_made_in is null then
        -- Which triggers were created is not known. The table must have enabled capture triggers, and none disabled or dropped.
        if not exists (select 1
                       from londiste.capture_triggers(i_queue_name, i_table_name, capture_check.table_oid) c
                       join pg_trigger t on t.oid = c.trigger_oid
                       where t.tgenabled in ('O', 'A'))
            or exists (select 1
                       from londiste.capture_relations(capture_check.table_oid) r(relation)
                       cross join lateral londiste.capture_triggers(i_queue_name, i_table_name, r.relation) c
                       join pg_trigger t on t.oid = c.trigger_oid
                       where t.tgenabled not in ('O', 'A'))
            or exists (select 1
                       from londiste.capture_relation r
                       cross join lateral londiste.capture_functions(r.nr) f(oid)
                       where r.queue_name = i_queue_name and r.table_name = i_table_name
                         and not exists (select 1 from pg_trigger t where t.tgfoid = f.oid))
        then
            loss := 'its capture triggers are not all there and enabled';
        end if;
    elsif exists (select 1
                  from londiste.capture_relation r
                  where r.queue_name = i_queue_name and r.table_name = i_table_name
                    and r.relation in (select londiste.capture_relations(capture_check.table_oid))
                    and r.triggers <> londiste.capture_made(i_queue_name, i_table_name, r.relation))
    then
        loss := 'its capture triggers were dropped, disabled or changed';
    elsif exists (select 1
                  from londiste.capture_relation r
                  join pg_class c on c.oid = r.relation
                  where r.queue_name = i_queue_name and r.table_name = i_table_name
                    and r.is_unlogged and c.relpersistence = 'u'
                    and r.relation in (select londiste.capture_relations(capture_check.table_oid))
                    and not exists (select 1 from londiste.capture_unlogged u where u.relation = r.relation))
    then
        loss := 'it is unlogged, and a crash of the server has emptied it';
    end if;
    if loss is not null then
        return;
    end if;

    -- 3. Whether all changes fire the triggers.
    v_bypass := londiste.capture_bypass(table_oid);
    v_enabled := londiste.capture_enabled(table_oid);
    if exists (select 1
               from londiste.capture_triggers(i_queue_name, i_table_name, capture_check.table_oid) c
               join pg_trigger t on t.oid = c.trigger_oid
               -- A statement trigger for insert, delete or update; or a trigger that does not fire in role replica.
               where v_bypass is not null and t.tgtype & 1 = 0 and t.tgtype & 28 <> 0
                  or v_enabled = 'A' and t.tgenabled <> 'A')
    then
        loss := 'its capture triggers did not fire for all changes: ' || coalesce(v_bypass, 'replay writes to it');
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
