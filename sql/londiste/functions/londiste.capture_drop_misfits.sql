create or replace function londiste.capture_drop_misfits(i_capture londiste.capture, i_table oid, i_relation oid) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_drop_misfits(3)
--     Drops the triggers of one relation that do not capture as they should now: superfluous ones, and others that have the name
--     of a capture trigger.
-- Raises, Locks: as londiste.drop_trigger, when there is such a trigger
-- ----------------------------------------------------------------------
declare
    v_number int := (select r.nr from londiste.capture_relation r
                     where r.queue_name = i_capture.queue_name and r.table_name = i_capture.table_name and r.relation = i_relation);
    v_name text;
begin
    for v_name in
        select t.tgname
        from pg_trigger t
        left join londiste.capture_objects(i_capture, i_table, i_relation) o on o.trigger_name = t.tgname
        where t.tgrelid = i_relation
          and case
                  when o.trigger_name is null then
                      t.tgfoid in (select londiste.capture_functions(v_number))
                  else londiste.capture_fits(t.oid, o.trigger_clause, format('capture_%s_%s', v_number, o.suffix)) is not true
              end
    loop
        perform londiste.drop_trigger(i_relation, v_name);
    end loop;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
