create or replace function londiste.fence_is_armed(i_relation oid) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_is_armed(1)
--     Tells whether the trigger of the fence is on a table as londiste.fence_arm() makes it: before each statement of all four kinds,
--     without a condition, and enabled always.
-- ----------------------------------------------------------------------
begin
    -- Type: before (2), insert (4), delete (8), update (16), truncate (32).
    return exists (
        select 1
        from pg_trigger t
        where t.tgrelid = i_relation and t.tgfoid = 'londiste.fence()'::regprocedure
          and t.tgtype = 62 and t.tgenabled = 'A' and t.tgqual is null and t.tgattr::text = '');
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
