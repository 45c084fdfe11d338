create or replace function londiste.capture_pin(i_values text[]) returns text[]
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_pin(1)
--     Sets the settings of londiste.capture_pins() until the end of the transaction, for a capture function that has to go the
--     generic way: it lacks set clauses for columns that it does not know. It calls this again to put things back.
--     It cannot have a set clause for search_path, which would undo what it sets, so it names schemas throughout.
-- Parameters: i_values - values for all of them, in order; null: the pinned ones
-- Returns: the values before
-- ----------------------------------------------------------------------
declare
    v_before pg_catalog.text[];
begin
    select pg_catalog.array_agg(pg_catalog.current_setting(p.name) order by p.nr)
    into v_before
    from londiste.capture_pins() with ordinality p(name, value, nr);

    perform pg_catalog.set_config(p.name, coalesce(i_values[p.nr], p.value), true)
    from londiste.capture_pins() with ordinality p(name, value, nr)
    where not coalesce(v_before[p.nr] operator(pg_catalog.=) coalesce(i_values[p.nr], p.value), false);
    return v_before;
end;
$$ language plpgsql;
