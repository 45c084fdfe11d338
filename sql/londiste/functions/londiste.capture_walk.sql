create or replace function londiste.capture_walk(
    i_capture londiste.capture, i_insert text, i_shape londiste.capture_shape)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_walk(3)
--     Returns the PL/pgSQL statements that make the update events, in format sql, of a statement that changed many rows.
--
--     The transition tables hold old and new rows in the same order. Two cursors side by side read them without sorting; a join
--     by position would sort both tables with all columns, on disk when they are large. Events are collected and inserted many
--     at a time, which is cheaper than one insert for each.
-- Parameters: i_insert - statements that insert the events of v_events
-- ----------------------------------------------------------------------
declare
    v_changes text := format(
'v_changes := %s;
    if v_changes operator(pg_catalog.<>) %L then
        v_changes := %s;
    else
        v_changes := null;
    end if;',
        londiste.capture_sql_changes('v_old', 'v_new', i_shape.all_columns), '',
        londiste.capture_sql_update('v_changes', 'v_old', i_shape.key_columns));
    v_fast record;
begin
    select * into v_fast from londiste.capture_fast(i_capture, i_shape, 'v_old', 'v_new');
    return format(
'v_count := 0;
v_size := 0;
open v_rows for select * from londiste_new;
for v_old in select * from londiste_old loop
    fetch v_rows into v_new;
    %s
    if v_changes is not null then
        v_count := v_count operator(pg_catalog.+) 1;
        v_size := v_size operator(pg_catalog.+) pg_catalog.octet_length(v_changes);
        v_events[v_count] := v_changes;
        if v_count operator(pg_catalog.=) 1000 or v_size operator(pg_catalog.>) 1000000 then
%s
            v_events := null;
            v_count := 0;
            v_size := 0;
        end if;
    end if;
end loop;
close v_rows;
if v_count operator(pg_catalog.>) 0 then
%send if;
',
        case when v_fast.condition is null then v_changes
             else format(E'if %s then\n        v_changes := %s;\n    else\n    %s\n    end if;', v_fast.condition, v_fast.data, v_changes)
        end,
        i_insert, i_insert);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
