create or replace function londiste.capture_report_loss(i_queue_name text, i_table_name text, i_loss text) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_report_loss(3)
--     Says that changes of a table may have been written without events, and has the subscribers copy it again. The caller has
--     repaired the capture in the same transaction.
-- Parameters: i_loss - why
-- Warns: 01L01
-- Writes: as londiste.provider_notify_again
-- ----------------------------------------------------------------------
begin
    perform londiste.provider_notify_again(i_queue_name, i_table_name);
    raise warning using
        errcode = '01L01',
        message = format('table %s of queue "%s" has to be copied again: %s', i_table_name, i_queue_name, i_loss),
        hint = 'It is captured anew, and subscribers copy it by themselves.';
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
