create or replace function pgq._changes_ignored_only(i_used boolean[], i_types oid[], i_old text[], i_new text[])
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._changes_ignored_only(4)
--     Tells whether an update has changed something, but only in columns that do not go into events. Such an update
--     makes no event; one that changes nothing at all does, as it may be meant as one.
-- Parameters:
--     i_used  - whether a column goes into events
--     i_types - the columns' types
--     i_old, i_new - texts of the rows
-- Returns:
--     whether it has
-- ----------------------------------------------------------------------
declare
    v_ignored   boolean := false;
begin
    for v_nr in 1 .. cardinality(i_used) loop
        if pgq._is_changed(i_old[v_nr], i_new[v_nr], i_types[v_nr]) then
            if i_used[v_nr] then
                return false;
            end if;
            v_ignored := true;
        end if;
    end loop;
    return v_ignored;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
