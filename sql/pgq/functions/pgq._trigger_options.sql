create or replace function pgq._trigger_options(
    in i_args text[],
    out queue_name text, out key_columns text[], out ignored text[], out is_backup boolean, out is_skip boolean,
    out is_deny boolean, out fields text[], out condition text)
as $$
-- ----------------------------------------------------------------------
-- Function: pgq._trigger_options(1)
--     Reads the arguments of sqltriga, logutriga and jsontriga.
-- Parameters:
--     i_args - the trigger's arguments
-- Returns:
--     queue_name  - first argument
--     key_columns - pkey=col,... ; null when not given
--     ignored     - ignore=col,...
--     is_backup   - backup
--     is_skip     - SKIP
--     is_deny     - deny
--     fields      - expressions of ev_type=, ev_data=, ev_extra1= .. ev_extra4=, in this order; null when none is given
--     condition   - when=
-- ----------------------------------------------------------------------
declare
    c_fields    constant text[] := array['ev_type', 'ev_data', 'ev_extra1', 'ev_extra2', 'ev_extra3', 'ev_extra4'];
    v_arg       text;
    v_name      text;
    v_value     text;
    v_nr        integer;
begin
    ignored := '{}';
    is_backup := false;
    is_skip := false;
    is_deny := false;
    if cardinality(i_args) = 1 then
        queue_name := i_args[array_lower(i_args, 1)];
        return;
    end if;
    foreach v_arg in array i_args
    loop
        if queue_name is null then
            queue_name := v_arg;
            continue;
        end if;
        v_name := split_part(v_arg, '=', 1);
        v_value := substr(v_arg, length(v_name) + 2);
        v_nr := array_position(c_fields, v_name);
        if v_arg = 'backup' then
            is_backup := true;
        elsif lower(v_arg) = 'skip' then
            is_skip := true;
        elsif v_arg = 'deny' then
            is_deny := true;
        elsif v_arg = v_name then
            v_name := null;
        elsif v_name = 'pkey' then
            select coalesce(array_agg(btrim(c) order by nr), '{}') into key_columns
            from unnest(string_to_array(v_value, ',')) with ordinality as f (c, nr);
        elsif v_name = 'ignore' then
            select coalesce(array_agg(btrim(c)), '{}') into ignored
            from unnest(string_to_array(v_value, ',')) c;
        elsif v_name = 'when' then
            condition := v_value;
        elsif v_nr is not null then
            fields := coalesce(fields, array_fill(null::text, array[6]));
            fields[v_nr] := v_value;
        else
            v_name := null;
        end if;
        if v_name is null then
            raise exception using
                errcode = 'invalid_parameter_value',
                message = 'bad param to pgq trigger',
                detail = format('Parameter: %s', v_arg),
                hint = 'Parameters after the queue: ignore=COL,... pkey=COL,... backup SKIP deny when=EXPR'
                       ' ev_type=EXPR ev_data=EXPR ev_extra1..4=EXPR.';
        end if;
    end loop;
    if queue_name is null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'pgq trigger must have destination queue as argument';
    end if;
end;
$$ language plpgsql immutable;
