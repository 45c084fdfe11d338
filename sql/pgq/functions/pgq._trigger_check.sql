create or replace function pgq._trigger_check(
    i_op text, i_when text, i_level text, i_schema text, i_table text, i_args text[])
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._trigger_check(6)
--     Checks that a trigger's arguments can be used with its level, time and operation. Raises an error also when the
--     arguments say "deny", which refuses the write.
-- Parameters:
--     i_op, i_when, i_level, i_schema, i_table, i_args - tg_op, tg_when, tg_level, tg_table_schema, tg_table_name,
--         tg_argv
-- Returns:
--     whether the arguments say "SKIP": the event is written instead of the row
-- ----------------------------------------------------------------------
declare
    v_options   record;
begin
    select * into v_options from pgq._trigger_options(i_args);
    if v_options.is_deny then
        raise exception using
            errcode = 'restrict_violation',
            message = format('Table ''%s.%s'' to queue ''%s'': change not allowed (%s)',
                             i_schema, i_table, v_options.queue_name, i_op);
    elsif i_op <> 'TRUNCATE' and i_level <> 'ROW' then
        raise exception using
            errcode = 'trigger_protocol_violated',
            message = 'pgq Ins/Upd/Del trigger must be fired FOR EACH ROW';
    elsif v_options.is_skip and i_when = 'AFTER' then
        raise exception using
            errcode = 'trigger_protocol_violated',
            message = 'SKIP does not work in AFTER trigger.';
    elsif i_op = 'TRUNCATE' and (v_options.fields is not null or v_options.condition is not null) then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'Custom expressions do not make sense for truncater trigger',
            detail = format('Table: %I.%I', i_schema, i_table);
    end if;
    return v_options.is_skip;
end;
$$ language plpgsql;
