create or replace function londiste.provider_add_table_as(
    i_queue_name text, i_table_name text, i_capture text, i_event_format text, i_key_columns text[])
returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_add_table_as(5)
--     Adds a table to a queue's set: from now on each change of a row becomes an event.
-- Parameters:
--     i_capture      - statement: statement triggers, cheap for statements of many rows; row: row triggers; auto (default when
--                      null): statement, and for updates whichever is cheaper for what is done to the table
--     i_event_format - sql (default when null): partial SQL, as Londiste applies it; urlenc, json: as PgQ's logutriga and
--                      jsontriga
--     i_key_columns  - columns that identify a row; null: primary key, else a suitable unique index
-- Returns: 1, or 0 when the table is in the set already
-- Raises, Warns, Writes: as londiste.capture_add
-- Calls: londiste.provider_add_table_as(6)
-- Locks: the table and its partitions in share row exclusive mode until the end of the transaction, in access exclusive mode
--     when a trigger of the original tools has to be dropped
-- ----------------------------------------------------------------------
begin
    return londiste.provider_add_table_as(i_queue_name, i_table_name, i_capture, i_event_format, i_key_columns, true);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

create or replace function londiste.provider_add_table_as(
    i_queue_name text, i_table_name text, i_capture text, i_event_format text, i_key_columns text[], i_has_truncate boolean)
returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.provider_add_table_as(6)
--     Adds a table to a queue's set, as provider_add_table_as(5).
-- Parameters:
--     i_has_truncate - whether TRUNCATE of the table makes an event (type R). Subscribers of Londiste 2.1 do not know the event and
--                      keep the rows; they stop at the next insert of such a row.
-- Returns: 1, or 0 when the table is in the set already
-- Raises, Warns, Writes: as londiste.capture_add
-- Locks: as provider_add_table_as(5)
-- ----------------------------------------------------------------------
begin
    return londiste.capture_add(i_queue_name, i_table_name, coalesce(i_capture, 'auto'), coalesce(i_event_format, 'sql'),
                                i_key_columns, '{}', i_has_truncate);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
