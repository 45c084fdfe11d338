create or replace function londiste.capture_pin(i_values text[]) returns text[]
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_pin(1)
--     Sets the settings of londiste.capture_pins() until the end of the transaction, for a capture function that has to go the
--     generic way: it lacks set clauses for columns that it does not know. It calls this again to put things back.
-- Parameters: i_values - values for all of them, in order; null: the pinned ones
-- Returns: the values before
-- ----------------------------------------------------------------------
declare
    v_before text[];
begin
    select array_agg(current_setting(p.name) order by p.nr)
    into v_before
    from londiste.capture_pins() with ordinality p(name, value, nr);

    perform set_config(p.name, coalesce(i_values[p.nr], p.value), true)
    from londiste.capture_pins() with ordinality p(name, value, nr)
    where v_before[p.nr] is distinct from coalesce(i_values[p.nr], p.value);
    return v_before;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
