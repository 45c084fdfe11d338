create or replace function londiste.subscriber_remove_table(i_queue_name text, i_table_name text) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_remove_table(2)
--     Ends the subscription to a table. The table and its data stay. The row in londiste.table_position, which names the
--     consumer of the table's copy, stays too: replay unregisters that consumer, which would keep the provider from rotating,
--     and then deletes the row.
-- Returns: 1
-- Raises: as londiste.check_subscriber_queue; undefined_object when the table is not subscribed
-- Writes: londiste.subscriber_table, ledger, verification
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
begin
    perform londiste.check_subscriber_queue(i_queue_name);

    delete from londiste.subscriber_table t where t.queue_name = i_queue_name and t.table_name = v_table_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'no such table',
            detail = format('Table %s is not subscribed to queue "%s".', v_table_name, i_queue_name);
    end if;
    delete from londiste.ledger l where l.queue_name = i_queue_name and l.table_name = v_table_name;
    delete from londiste.verification v where v.queue_name = i_queue_name and v.table_name = v_table_name;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
