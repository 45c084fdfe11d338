create or replace function londiste.subscriber_set_skip_truncate(i_queue_name text, i_table_name text, i_value boolean) returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_set_skip_truncate(3)
--     Stores whether the next copy of a table keeps the rows that the table has on the subscriber.
-- Returns: 1
-- Raises: undefined_object when the table is not subscribed
-- Writes: londiste.subscriber_table
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
begin
    update londiste.subscriber_table t
    set skip_truncate = i_value
    where t.queue_name = i_queue_name
      and t.table_name = v_table_name;
    if not found then
        raise exception using
            errcode = 'undefined_object',
            message = 'no such table',
            detail = format('Table %s is not subscribed to queue "%s".', v_table_name, i_queue_name);
    end if;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
