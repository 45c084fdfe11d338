create or replace function londiste.capture_create_trigger(
    i_relation oid, i_trigger_name text, i_trigger_clause text, i_function text, i_enabled "char")
returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_create_trigger(5)
--     Makes one capture trigger unless it is there, and sets how it is enabled.
-- Parameters:
--     i_trigger_clause - as from londiste.capture_objects
--     i_function       - name of the trigger function in schema londiste
--     i_enabled        - as from londiste.capture_enabled
-- ----------------------------------------------------------------------
declare
    -- As in pg_trigger.tgtype.
    v_type int := (i_trigger_clause like '%for each row')::int
        + 2 * (i_trigger_clause like 'before %')::int
        + 4 * (i_trigger_clause ~ '^after .*insert.* on')::int
        + 8 * (i_trigger_clause ~ '^after .*delete.* on')::int
        + 16 * (i_trigger_clause ~ '^after .*update.* on')::int
        + 32 * (i_trigger_clause ~ ' truncate on')::int;
    v_present record;
begin
    select p.proname, t.tgtype, t.tgenabled into v_present
    from pg_trigger t
    join pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = i_relation and t.tgname = i_trigger_name;

    if v_present.proname is distinct from i_function or v_present.tgtype is distinct from v_type then
        if v_present.proname is not null then
            execute format('drop trigger %I on %s', i_trigger_name, i_relation::regclass);
        end if;
        execute format('create trigger %I %s execute procedure londiste.%I()', i_trigger_name,
                       format(i_trigger_clause, i_relation::regclass), i_function);
        v_present.tgenabled := 'O';
    end if;
    if v_present.tgenabled <> i_enabled then
        execute format('alter table %s enable %s trigger %I', i_relation::regclass,
                       case i_enabled when 'A' then 'always' else '' end, i_trigger_name);
    end if;
exception
    when insufficient_privilege then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('cannot put a capture trigger on table %s: %s', i_relation::regclass, sqlerrm),
            detail = format('Schema londiste belongs to role %I, which lacks a right on this table.', current_user),
            hint = case i_enabled
                when 'A' then format('This table is also subscribed to, so its triggers have to fire always, which only its owner '
                                     'can say: grant %I to %I', (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = i_relation),
                                     current_user)
                else format('grant trigger on %s to %I', i_relation::regclass, current_user)
            end;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
