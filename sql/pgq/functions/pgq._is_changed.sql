create or replace function pgq._is_changed(i_old text, i_new text, i_type oid)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._is_changed(3)
--     Tells whether an update has changed a column. By its text: every difference that can be seen is replicated. But
--     a numeric that differs in trailing zeros only is the same number.
-- Parameters:
--     i_old, i_new - texts of the values
--     i_type       - the column's type
-- Returns:
--     whether they differ
-- ----------------------------------------------------------------------
begin
    if i_old is not distinct from i_new then
        return false;
    elsif i_type = 'numeric'::regtype and i_old is not null and i_new is not null then
        return i_old::numeric <> i_new::numeric;
    end if;
    return true;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
