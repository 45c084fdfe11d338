create or replace function londiste.capture_long_way(
    i_capture londiste.capture, i_event_table text, i_mark text, i_count int, i_shape londiste.capture_shape, i_level text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_long_way(6)
--     Returns the PL/pgSQL statements that make the update events in format sql of rows of any kind, and insert them into the event
--     table whose number is in v_table. They are long, so they stand once behind the branches: a session reads all of a function
--     before its first statement.
-- Parameters:
--     i_event_table - name of an event table with i_mark in the place of its number
--     i_count       - number of event tables
--     i_level       - statement or row
-- ----------------------------------------------------------------------
declare
    v_more text := londiste.capture_constants(i_capture.table_name);
    v_insert text := londiste.capture_insert(i_event_table,
        case i_level
            when 'row'
            then format('values (%L, %s%s)', 'U', londiste.capture_sql_update('v_changes', 'old', i_shape.key_columns), v_more)
            else format(E'select %L, u.ev_data%s\nfrom pg_catalog.unnest(v_events) with ordinality u(ev_data, nr)\norder by u.nr', 'U', v_more)
        end);
begin
    v_insert := format(E'if %send if;\n',
        substr(londiste.capture_repeat(format(E'elsif v_table operator(pg_catalog.=) %s then\n%s;\n', i_mark, v_insert), i_mark, i_count), 6));
    return case i_level
        when 'row' then format(E'v_changes := %s;\nif v_changes operator(pg_catalog.<>) %L then\n%send if;\n',
                               londiste.capture_sql_changes('old', 'new', i_shape.all_columns), '', v_insert)
        else londiste.capture_walk(i_capture, v_insert, i_shape)
    end;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
