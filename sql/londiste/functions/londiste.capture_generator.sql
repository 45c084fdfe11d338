create or replace function londiste.capture_generator() returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_generator(0)
--     Returns a text that identifies the generator of capture functions, and that changes with each installation that replaces
--     the generator's functions. Capture functions of another generator are generated anew, so no version number has to be
--     kept. The text is made from the transactions that created the generator's functions: reading their sources would take
--     longer than everything else that maintenance looks at.
--
--     Functions of an older generator work until they are generated anew: what generated functions call keeps its arguments and
--     its meaning.
-- ----------------------------------------------------------------------
begin
    return md5((select string_agg(p.oid || ' ' || p.xmin, ' ' order by p.oid)
                from pg_proc p
                -- The range of names has an index. Generated functions, capture_1_i, sort before it.
                where p.proname >= 'capture_a' and p.proname < 'capture_{'
                  and p.pronamespace = 'londiste'::regnamespace));
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
