create or replace function londiste.capture_same_key(i_old text, i_new text, i_key londiste.capture_column[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_same_key(3)
--     Returns the condition that is true when an update has not changed a row's key. The condition is never null.
-- Parameters: as for londiste.capture_same
-- ----------------------------------------------------------------------
begin
    return (
        select string_agg('(' || londiste.capture_same(i_old, i_new, c) || ')', ' and ' order by c.column_nr)
        from unnest(i_key) c);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
