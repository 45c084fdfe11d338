create or replace function londiste.capture_branch(
    i_capture londiste.capture, i_event_table text, i_shape londiste.capture_shape, i_operation text, i_level text,
    i_done text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_branch(6)
--     Returns the PL/pgSQL statements with which a capture function inserts the events of one operation into one event table; for
--     updates in format sql those of the common case only, see londiste.capture_long_way.
-- Parameters:
--     i_event_table - name of the event table
--     i_operation   - i, u, d
--     i_level       - statement or row
--     i_done        - statements that end the function, for a branch within the branch
-- ----------------------------------------------------------------------
declare
    v_more text := londiste.capture_constants(i_capture.table_name);
    v_fast record;
    v_single text;
    v_insert text;
begin
    if i_operation = 'u' and i_level = 'statement' then
        -- Most statements change one row, for which the loop over both transition tables would cost more than all the rest.
        v_single := londiste.capture_insert(i_event_table, londiste.capture_event_source(i_capture, i_shape, 'u', 'single', v_more));
        if i_capture.event_format = 'sql' then
            return format(E'%s;\nif found then\n%s\nend if;\n', v_single, i_done);
        end if;
    elsif i_operation = 'u' and i_capture.event_format = 'sql' then
        select * into v_fast from londiste.capture_fast(i_capture, i_shape, 'old', 'new');
        return case when v_fast.condition is null then ''
                    else format(E'if %s then\n%s;\n%s\nend if;\n', v_fast.condition,
                                londiste.capture_insert(i_event_table, format('values (%L, %s%s)', 'U', v_fast.data, v_more)), i_done)
               end;
    end if;

    v_insert := londiste.capture_insert(i_event_table, londiste.capture_event_source(i_capture, i_shape, i_operation, i_level, v_more));
    return case when v_single is null then v_insert || E';\n'
                else format(E'%s;\nif not found then\n%s;\nend if;\n', v_single, v_insert)
           end;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
