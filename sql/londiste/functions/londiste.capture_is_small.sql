create or replace function londiste.capture_is_small(i_capture londiste.capture, i_table oid) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_is_small(2)
--     Tells whether a table has so few rows that its updates and deletes are captured by row triggers: no statement can change
--     many rows.
--
--     A table becomes small at 10,000 rows or fewer and stays small until it has more than 20,000. With one limit for both,
--     maintenance would drop and create triggers after each analyze of a table that grows and shrinks around the limit, under a
--     lock that writers wait for.
-- Parameters: i_capture - row of londiste.capture; its is_small is the result at the last generation
-- Returns: true or false; the last result while the number of rows is not known (never analyzed, or just truncated)
-- ----------------------------------------------------------------------
begin
    return (
        select case
                   when c.relkind <> 'r' then false
                   when c.relpages = 0 or c.reltuples < 0 then coalesce(i_capture.is_small, false)
                   else c.reltuples <= case when i_capture.is_small then 20000 else 10000 end
               end
        from pg_class c
        where c.oid = i_table);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
