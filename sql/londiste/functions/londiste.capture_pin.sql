create or replace function londiste.capture_pin(i_values text[]) returns text[]
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_pin(1)
--     Sets the settings of londiste.capture_pins() until the end of the transaction, for a capture function that takes the
--     generic way: the function has no set clauses for columns that were added after it was generated. A second call, with the
--     result of the first, restores the settings.
--
--     This function itself has no set clause for search_path: the clause would undo the setting when the function returns. So
--     it names every schema.
-- Parameters: i_values - values of all the settings, in order; null: those of londiste.capture_pins()
-- Returns: the values before the call
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
