create or replace function pgq._field_value(i_expression text, i_computed text, i_names text[], i_values text[])
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq._field_value(4)
--     Returns the value of an expression in a trigger's arguments: the column's value when the expression is the name of a
--     column, else the computed value.
-- Parameters:
--     i_expression - the expression
--     i_computed   - the value that the query of pgq._trigger_expressions(2) has computed
--     i_names, i_values - the row: names of the columns, values as text
-- Returns:
--     the value as text
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
