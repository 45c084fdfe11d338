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
    v_changed   record;
begin
    select count(*) as columns,
           count(*) filter (where c.is_used) as used,
           max(c.name) filter (where c.name = any (i_keys)) as key_column
    into v_changed
    from unnest(i_names, i_types, i_used, i_old, i_new) as c (name, type, is_used, old, new)
    where case
              when c.old is not distinct from c.new then false
              when c.type = 'numeric'::regtype and c.old is not null and c.new is not null
              then c.old::numeric <> c.new::numeric
              else true
          end;
    if v_changed.key_column is not null then
        raise exception using
            errcode = 'feature_not_supported',
            message = 'primary key update not allowed',
            detail = format('Column: %s', v_changed.key_column),
            hint = 'Delete the row and insert it anew, or use the trigger pgq.sqltriga, whose events can say it.';
    end if;
    return v_changed.columns = 0 or v_changed.used > 0;
end;
$$ language plpgsql immutable;
