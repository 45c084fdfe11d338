create or replace function londiste.capture_create_trigger(i_number int, i_capture londiste.capture, i_relation oid, i_operation text)
returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_create_trigger(4)
--     Makes one capture trigger, if it is not there, and sets how it is enabled.
-- Parameters:
--     i_number    - number of the generated functions
--     i_operation - i, u, d or t
-- ----------------------------------------------------------------------
declare
    v_trigger_name text := londiste.trigger_name(i_capture.queue_name) || '_' || i_operation;
    v_enabled "char" := londiste.capture_enabled(i_capture.table_name);
    v_present record;
begin
    select t.tgenabled, p.proname
    into v_present
    from pg_trigger t
    join pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = i_relation and t.tgname = v_trigger_name;

    if v_present.proname is distinct from format('capture_%s_%s', i_number, i_operation) then
        if v_present.proname is not null then
            execute format('drop trigger %I on %s', v_trigger_name, i_relation::regclass);
        end if;
        execute format('create trigger %I after %s on %s %s for each statement execute procedure londiste.%I()',
            v_trigger_name,
            case i_operation when 'i' then 'insert' when 'u' then 'update' when 'd' then 'delete' else 'truncate' end,
            i_relation::regclass,
            case i_operation when 'i' then 'referencing new table as londiste_new'
                             when 'u' then 'referencing old table as londiste_old new table as londiste_new'
                             when 'd' then 'referencing old table as londiste_old'
                             else '' end,
            format('capture_%s_%s', i_number, i_operation));
        v_present.tgenabled := 'O';
    end if;

    if v_present.tgenabled <> v_enabled then
        execute format('alter table %s enable %s trigger %I', i_relation::regclass,
                       case v_enabled when 'A' then 'always' else '' end, v_trigger_name);
    end if;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
