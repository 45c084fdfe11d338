create or replace function londiste.capture_create_trigger(i_relation oid, i_trigger_name text, i_trigger_clause text, i_function text)
returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_create_trigger(4)
--     Creates a capture trigger unless there is a trigger of this name.
-- Parameters:
--     i_trigger_clause - as londiste.capture_objects returns it
--     i_function       - name of the trigger function in schema londiste
-- Raises: insufficient_privilege
-- Locks: the table in share row exclusive mode until the end of the transaction, when the trigger is created
-- ----------------------------------------------------------------------
begin
    if exists (select 1 from pg_trigger t where t.tgrelid = i_relation and t.tgname = i_trigger_name) then
        return;
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
