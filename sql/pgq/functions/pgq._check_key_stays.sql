create or replace function pgq._check_key_stays(
    i_names text[], i_types oid[], i_keys text[], i_old text[], i_new text[])
returns void as $$
-- ----------------------------------------------------------------------
-- Function: pgq._check_key_stays(5)
--     Refuses an update that changes the key: events in the urlencoded and JSON formats have the new row only, and
--     their consumers could not find the old one.
-- Parameters:
--     i_names, i_types - the columns
--     i_keys           - the key columns
--     i_old, i_new     - texts of the rows
-- ----------------------------------------------------------------------
begin
    for v_nr in 1 .. cardinality(i_names) loop
        if i_names[v_nr] = any (i_keys) and pgq._is_changed(i_old[v_nr], i_new[v_nr], i_types[v_nr]) then
            raise exception using
                errcode = 'feature_not_supported',
                message = 'primary key update not allowed',
                detail = format('Column: %s', i_names[v_nr]),
                hint = 'Delete the row and insert it anew, or use the trigger pgq.sqltriga, whose events can say it.';
        end if;
    end loop;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
