create or replace function londiste.fence_trigger_name() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_trigger_name(0)
--     Returns the name of the trigger of the fence. Triggers fire in the order of their names: this one comes before those that are
--     called after a word, so that a refused statement does nothing first.
-- ----------------------------------------------------------------------
begin
    return '0__londiste_fence';
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
