create or replace function pgq._field_value(i_expression text, i_computed text, i_names text[], i_values text[])
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._field_value(4)
--     Gives the value of an expression in a trigger's arguments: that of the column which it names, or the computed
--     one.
-- Parameters:
--     i_expression - the expression
--     i_computed   - its value as pgq._trigger_expressions(2) computes it
--     i_names, i_values - the row
-- Returns:
--     text of the value
-- ----------------------------------------------------------------------
begin
    for v_nr in 1 .. cardinality(i_names) loop
        if i_expression = quote_ident(i_names[v_nr]) then
            return i_values[v_nr];
        end if;
    end loop;
    return i_computed;
end;
$$ language plpgsql immutable;
