create or replace function londiste.subscriber_add_table(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_add_table(2)
--     Subscribes to a table. The table's state is null: the copy has not begun.
-- Returns: 1, or 0 when the table is subscribed already
-- Raises: as londiste.check_subscriber_queue
-- Warns, Locks: as londiste.capture_enable_subscribed, when the table is captured on this database too
-- Writes: londiste.subscriber_table
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
begin
    perform londiste.check_subscriber_queue(i_queue_name);

    insert into londiste.subscriber_table (queue_name, table_name)
    values (i_queue_name, v_table_name)
    on conflict do nothing;
    if not found then
        return 0;
    end if;
    perform londiste.capture_enable_subscribed(v_table_name);
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
