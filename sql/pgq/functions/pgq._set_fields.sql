create or replace function pgq._set_fields(
    i_fields text[], i_expressions text[], i_computed text[], i_names text[], i_values text[])
returns text[] as $$
-- ----------------------------------------------------------------------
-- Function: pgq._set_fields(5)
--     Sets the fields of an event for which the row has a column (_pgq_ev_type, _pgq_ev_data, _pgq_ev_extra1..4), or the
--     trigger's arguments an expression (ev_type= and so on). An expression wins over a column.
-- Parameters:
--     i_fields      - ev_type, ev_data, ev_extra1..4 as the trigger makes them
--     i_expressions - the expressions of the arguments, in the same order, or null
--     i_computed    - values of the expressions, computed by the query of pgq._trigger_expressions(2), or null
--     i_names, i_values - the row
-- Returns:
--     the fields
-- ----------------------------------------------------------------------
declare
    c_columns   constant text[] := array['_pgq_ev_type', '_pgq_ev_data', '_pgq_ev_extra1', '_pgq_ev_extra2',
                                         '_pgq_ev_extra3', '_pgq_ev_extra4'];
    v_fields    text[] := i_fields;
begin
    for v_nr in 1 .. 6 loop
        if c_columns[v_nr] = any (i_names) then
            v_fields[v_nr] := i_values[array_position(i_names, c_columns[v_nr])];
        end if;
        if i_expressions[v_nr] is not null then
            v_fields[v_nr] := pgq._field_value(i_expressions[v_nr], i_computed[v_nr], i_names, i_values);
        end if;
    end loop;
    return v_fields;
end;
$$ language plpgsql immutable;
