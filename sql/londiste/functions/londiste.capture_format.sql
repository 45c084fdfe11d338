create or replace function londiste.capture_format(i_template text[], i_arguments text[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_format(2)
--     Returns the text of a call of format() with any number of arguments. A function takes at most 100 arguments, so the
--     result may be several calls.
-- Parameters:
--     i_template  - pieces of the template, each with one % specification
--     i_arguments - an argument for each piece
-- ----------------------------------------------------------------------
begin
    return (
        select string_agg(c.call, ' operator(pg_catalog.||) ' order by c.chunk)
        from (select (p.nr - 1) / 90 as chunk,
                     format('pg_catalog.format(%L, %s)', string_agg(p.template, '' order by p.nr),
                            string_agg(p.argument, ', ' order by p.nr)) as call
              from unnest(i_template, i_arguments) with ordinality p(template, argument, nr)
              group by (p.nr - 1) / 90) c);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
