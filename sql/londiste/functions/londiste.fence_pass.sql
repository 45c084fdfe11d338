create or replace function londiste.fence_pass() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_pass(0)
--     Returns the value of the setting londiste.pass by which a session writes to a closed database: replay's, and that of copies
--     and repairs. Makes it at the first call. It is no secret against a superuser, and random only so that nobody sets it by
--     mistake or by guess.
-- Writes: londiste.fence
-- ----------------------------------------------------------------------
begin
    if not exists (select 1 from londiste.fence f where f.pass is not null) then
        insert into londiste.fence as f (pass)
        values (md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text || random()::text))
        on conflict (only_row) do update set pass = coalesce(f.pass, excluded.pass);
    end if;
    return (select f.pass from londiste.fence f);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
