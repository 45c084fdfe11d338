create or replace function londiste.capture_functions(i_number int) returns setof oid
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_functions(1)
--     Returns the generated functions of a relation: londiste.capture_NR_i and so on.
-- Parameters: i_number - londiste.capture_relation.nr
-- ----------------------------------------------------------------------
begin
    return query
    select p.oid
    from pg_proc p
    where p.pronamespace = 'londiste'::regnamespace
      -- The names that begin with capture_NR_, as a range: it has an index, and there are functions for each captured relation.
      and p.proname >= format('capture_%s_', i_number)::name
      and p.proname < format('capture_%s`', i_number)::name;
end;
$$ language plpgsql strict stable rows 4 set search_path = pg_catalog, pg_temp;
