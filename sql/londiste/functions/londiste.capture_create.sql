create or replace function londiste.capture_create(
    i_number int, i_capture londiste.capture, i_table oid, i_relation oid, i_plan text, i_mark text)
returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_create(6)
--     Creates the capture functions and triggers of a relation as they should be now. Triggers that are there
--     stay: usually only functions change, and no lock keeps writers out. londiste.capture_generate has dropped those that are
--     wrong.
-- Parameters:
--     i_number - londiste.capture_relation.nr
--     i_plan   - as londiste.capture_plan returns it
--     i_mark   - as londiste.capture_look returned it before that
-- Raises, Locks: as londiste.capture_create_trigger
-- ----------------------------------------------------------------------
declare
    v_shape londiste.capture_shape;
    v_object record;
    v_extra record;
begin
    v_shape := londiste.capture_shape(i_capture, i_table, i_relation);
    for v_object in
        select * from londiste.capture_objects(i_capture, i_table, i_relation)
    loop
        perform londiste.run_ddl(format(
E'create or replace function londiste.%I() returns pg_catalog.trigger
as %L language plpgsql security definer%s',
            format('capture_%s_%s', i_number, v_object.suffix),
            londiste.capture_function(i_capture, v_shape, md5(i_plan), i_mark, v_object.suffix, v_object.trigger_level),
            -- TRUNCATE of a partition reads the partition's rows. Policies that hide rows must raise an error here.
            londiste.capture_settings(v_shape.all_columns || v_shape.key_columns, v_object.suffix) || case v_object.suffix when 't' then ' set row_security = off' else '' end));
        perform londiste.run_ddl(format('revoke all on function londiste.%I() from public',
                                        format('capture_%s_%s', i_number, v_object.suffix)));
        perform londiste.capture_create_trigger(i_relation, v_object.trigger_name, v_object.trigger_clause,
                                                format('capture_%s_%s', i_number, v_object.suffix));
    end loop;

    for v_extra in
        select f.oid::regprocedure as func
        from londiste.capture_functions(i_number) f(oid)
        where not exists (select 1 from pg_trigger t where t.tgfoid = f.oid)
    loop
        perform londiste.run_ddl(format('drop function %s', v_extra.func));
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
