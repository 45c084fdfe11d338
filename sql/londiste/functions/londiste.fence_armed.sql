create or replace function londiste.fence_armed(out relation oid, out name text) returns setof record
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_armed(0)
--     Returns the tables that have a trigger of the fence, in any condition, sorted by oid.
-- ----------------------------------------------------------------------
begin
    return query
    select c.oid, format('%I.%I', n.nspname, c.relname)
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where exists (select 1 from pg_trigger t where t.tgrelid = c.oid and t.tgfoid = 'londiste.fence()'::regprocedure)
    order by c.oid;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
