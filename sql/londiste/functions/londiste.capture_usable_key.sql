create or replace function londiste.capture_usable_key(i_table oid, i_key_columns text[]) returns text[]
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_usable_key(2)
--     Returns the columns by which events name a row now: i_key_columns while they can serve as a key
--     (londiste.capture_key_fault), else the table's own key.
-- Parameters: i_key_columns - as in londiste.capture
-- Returns: column names, or null when events name a row by all columns
-- ----------------------------------------------------------------------
begin
    if i_key_columns is not null and (londiste.capture_key_fault(i_table, i_key_columns)).code is null then
        return i_key_columns;
    end if;
    return londiste.capture_key(i_table);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
