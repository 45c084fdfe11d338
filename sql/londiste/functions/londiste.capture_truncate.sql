create or replace function londiste.capture_truncate(i_capture londiste.capture, i_table oid) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_truncate(2)
--     Returns the expressions for ev_type and ev_data of the event for TRUNCATE of a table.
-- ----------------------------------------------------------------------
begin
    return (
        select londiste.capture_event(i_capture, 't', u.all_columns, u.key_columns, '')
        from londiste.capture_used_columns(i_capture, i_table, i_table) u);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
