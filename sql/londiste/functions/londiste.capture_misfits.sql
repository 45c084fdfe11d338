create or replace function londiste.capture_misfits(i_capture londiste.capture, i_table oid, i_relation oid) returns setof name
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_misfits(3)
--     Returns the triggers of one relation that do not capture as they should now: superfluous ones, and others that have the
--     name of a capture trigger.
-- ----------------------------------------------------------------------
declare
    v_number int := (select r.nr from londiste.capture_relation r
                     where r.queue_name = i_capture.queue_name and r.table_name = i_capture.table_name and r.relation = i_relation);
begin
    return query
    select t.tgname
    from pg_trigger t
    left join londiste.capture_objects(i_capture, i_table, i_relation) o on o.trigger_name = t.tgname
    where t.tgrelid = i_relation
      and case
              when o.trigger_name is null then
                  t.tgfoid in (select londiste.capture_functions(v_number))
              else londiste.capture_fits(t.oid, o.trigger_clause, format('capture_%s_%s', v_number, o.suffix)) is not true
          end;
end;
$$ language plpgsql stable rows 1 set search_path = pg_catalog, pg_temp;
