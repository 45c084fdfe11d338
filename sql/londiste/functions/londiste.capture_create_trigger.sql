create or replace function londiste.capture_create_trigger(i_relation oid, i_trigger_name text, i_trigger_clause text, i_function text)
returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_create_trigger(4)
--     Creates a capture trigger unless it exists. A trigger of this name that captures in another way is dropped first.
-- Parameters:
--     i_trigger_clause - as londiste.capture_objects returns it
--     i_function       - name of the trigger function in schema londiste
-- Raises: insufficient_privilege
-- Locks: until the end of the transaction the table in share row exclusive mode, when the trigger is created; in access
--     exclusive mode, when a trigger is dropped
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
    select p.proname, t.tgtype, t.tgattr::text as columns, t.tgqual is not null as is_conditional into v_present
    from pg_trigger t
    join pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = i_relation and t.tgname = i_trigger_name;
    if v_present.proname = i_function and v_present.tgtype = v_type and v_present.columns = '' and not v_present.is_conditional then
        return;
    end if;

    if v_present.proname is not null then
        perform londiste.run_ddl(format('drop trigger %I on %s', i_trigger_name, i_relation::regclass));
    end if;
    perform londiste.run_ddl(format('create trigger %I %s execute procedure londiste.%I()', i_trigger_name,
                   format(i_trigger_clause, i_relation::regclass), i_function));
exception
    when insufficient_privilege then
        raise exception using
            errcode = 'insufficient_privilege',
            message = format('cannot put a capture trigger on table %s: %s', i_relation::regclass, sqlerrm),
            detail = format('Schema londiste belongs to role %I, which lacks a right on this table.', current_user),
            hint = format('grant trigger on %s to %I', i_relation::regclass, current_user);
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
