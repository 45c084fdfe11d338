create or replace function pgq._whole_row_update(
    i_names text[], i_types oid[], i_used boolean[], i_keys text[], i_old text[], i_new text[])
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._whole_row_update(6)
--     Looks at an update for a format whose events have the whole new row.
-- Parameters:
--     i_names, i_types - the columns
--     i_used           - whether a column goes into events
--     i_keys           - the key columns
--     i_old, i_new     - texts of the rows
-- Returns:
--     whether it makes an event: not when it changes only columns that do not go into events. Refuses one that changes
--     the key, since consumers of these formats could not find the old row
-- ----------------------------------------------------------------------
declare
    v_used      boolean := false;
    v_ignored   boolean := false;
begin
    for v_nr in 1 .. cardinality(i_names) loop
        continue when not pgq._is_changed(i_old[v_nr], i_new[v_nr], i_types[v_nr]);
        if i_names[v_nr] = any (i_keys) then
            raise exception using
                errcode = 'feature_not_supported',
                message = 'primary key update not allowed',
                detail = format('Column: %s', i_names[v_nr]),
                hint = 'Delete the row and insert it anew, or use the trigger pgq.sqltriga, whose events can say it.';
        end if;
        v_used := v_used or i_used[v_nr];
        v_ignored := v_ignored or not i_used[v_nr];
    end loop;
    return v_used or not v_ignored;
end;
$$ language plpgsql immutable;
