create or replace function londiste.capture_truncate(i_capture londiste.capture, i_table oid) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_truncate(2)
--     Returns the expressions for ev_type and ev_data of the event for TRUNCATE of a table.
-- ----------------------------------------------------------------------
begin
    return (
        select londiste.capture_event(i_capture, 't', s.all_columns, s.key_columns, '')
        from londiste.capture_shape(i_capture, i_table, i_table) s);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
