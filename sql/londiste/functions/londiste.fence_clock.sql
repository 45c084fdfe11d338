create or replace function londiste.fence_clock() returns bigint
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_clock(0)
--     Returns the server's time as londiste.fence_state has it: microseconds since 1970, in UTC.
-- ----------------------------------------------------------------------
begin
    return (extract(epoch from clock_timestamp()) * 1000000)::bigint;
end;
$$ language plpgsql volatile set search_path = pg_catalog, pg_temp;
