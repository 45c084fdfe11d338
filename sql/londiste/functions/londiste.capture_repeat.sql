create or replace function londiste.capture_repeat(i_branch text, i_mark text, i_count int) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_repeat(3)
--     Returns a branch of a capture function for each event table.
-- Parameters:
--     i_mark  - the text in i_branch that stands for the number of the event table
--     i_count - number of event tables
-- ----------------------------------------------------------------------
begin
    return (select string_agg(replace(i_branch, i_mark, k.nr::text), '' order by k.nr) from generate_series(0, i_count - 1) k(nr));
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
