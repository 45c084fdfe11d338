create or replace function londiste.capture_enable(i_queue_name text, i_table_name text, i_table oid) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_enable(3)
--     Enables the capture triggers of a table, and their copies on its partitions, as londiste.capture_enabled says. Does not
--     touch triggers that are enabled so already.
-- Raises: insufficient_privilege
-- Locks: the tables whose triggers change, in share row exclusive mode until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_enabled "char" := londiste.capture_enabled(i_table);
    v_trigger record;
begin
    for v_trigger in
        select t.tgname, r.relation
        from londiste.capture_tree(i_table) r(relation)
        cross join lateral londiste.capture_triggers(i_queue_name, i_table_name, r.relation) c
        join pg_trigger t on t.oid = c.trigger_oid
        where t.tgenabled <> v_enabled
    loop
        begin
            perform londiste.run_ddl(format('alter table %s enable %s trigger %I', v_trigger.relation::regclass,
                           case v_enabled when 'A' then 'always' else '' end, v_trigger.tgname));
        exception
            when insufficient_privilege then
                raise exception using
                    errcode = 'insufficient_privilege',
                    message = format('cannot enable the capture triggers of table %s: %s', v_trigger.relation::regclass, sqlerrm),
                    detail = format('Schema londiste belongs to role %I, which does not own this table.', current_user),
                    hint = format(case v_enabled
                                      when 'A' then 'This table is also subscribed to, so its triggers have to fire always, which only '
                                                    'its owner can say: grant %I to %I'
                                      else 'Only the owner of the table can enable triggers: grant %I to %I'
                                  end, (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = v_trigger.relation), current_user);
        end;
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
