create or replace function londiste.capture_generator() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_generator(0)
--     Which generator of capture functions this is: another one after each install that replaces its functions. So functions that an
--     older generator has made are made anew, and nobody has to think of a version number. Told by the transactions that made the
--     functions: to read all their sources would take longer than all else that maintenance looks at.
--
--     Until then they go on to work: what generated functions call keeps its arguments and its meaning.
-- ----------------------------------------------------------------------
begin
    return md5((select string_agg(p.oid || ' ' || p.xmin, ' ' order by p.oid)
                from pg_proc p
                where p.proname ~ '^capture_[a-z]'
                  and p.pronamespace = 'londiste'::regnamespace));
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
