create or replace function pgq._is_wanted(i_condition text, i_computed text, i_names text[], i_values text[])
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._is_wanted(4)
--     Tells whether a row makes an event by the trigger's argument when=.
-- Parameters:
--     i_condition - the expression
--     i_computed, i_names, i_values - as in pgq._field_value(4)
-- Returns:
--     whether the condition is true for the row
-- ----------------------------------------------------------------------
declare
    v_value     text;
begin
    v_value := pgq._field_value(i_condition, i_computed, i_names, i_values);
    if v_value is null then
        raise exception using
            errcode = 'null_value_not_allowed',
            message = 'when= should not be NULL',
            detail = format('Condition: %s', i_condition);
    elsif v_value not in ('t', 'f', 'true', 'false') then
        raise exception using
            errcode = 'datatype_mismatch',
            message = 'when= query result must be boolean',
            detail = format('Condition: %s, result: %s', i_condition, v_value);
    end if;
    return v_value in ('t', 'true');
end;
$$ language plpgsql immutable;
