create or replace function londiste.capture_fits(i_trigger oid, i_trigger_clause text, i_function text) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_fits(3)
--     Tells whether a trigger captures as it should.
-- Parameters:
--     i_trigger_clause - as londiste.capture_objects returns it
--     i_function       - name of the trigger function in schema londiste
-- ----------------------------------------------------------------------
declare
    -- As in pg_trigger.tgtype.
    v_type int := (i_trigger_clause like '%for each row')::int
        + 2 * (i_trigger_clause like 'before %')::int
        + 4 * (i_trigger_clause ~ '^after .*insert.* on')::int
        + 8 * (i_trigger_clause ~ '^after .*delete.* on')::int
        + 16 * (i_trigger_clause ~ '^after .*update.* on')::int
        + 32 * (i_trigger_clause ~ ' truncate on')::int;
begin
    return (
        select p.proname = i_function and p.pronamespace = 'londiste'::regnamespace and t.tgtype = v_type
               and t.tgattr::text = '' and t.tgqual is null
        from pg_trigger t
        join pg_proc p on p.oid = t.tgfoid
        where t.oid = i_trigger);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
