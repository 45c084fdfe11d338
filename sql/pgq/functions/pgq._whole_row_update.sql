create or replace function pgq._whole_row_update(
    i_names text[], i_types oid[], i_watched boolean[], i_keys text[], i_old text[], i_new text[])
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._whole_row_update(6)
--     Tells whether an update makes an event in a format whose events have the whole new row. An update that changes only
--     columns to ignore makes none. Raises an error when the update changes the key: consumers of these formats could not find
--     the old row.
-- Parameters:
--     i_names, i_types - the columns
--     i_watched        - false for columns to ignore
--     i_keys           - the key columns
--     i_old, i_new     - texts of the rows
-- Returns:
--     whether the update makes an event
-- ----------------------------------------------------------------------
declare
    v_watched   boolean := false;
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
        v_watched := v_watched or i_watched[v_nr];
        v_ignored := v_ignored or not i_watched[v_nr];
    end loop;
    return v_watched or not v_ignored;
end;
$$ language plpgsql immutable;
