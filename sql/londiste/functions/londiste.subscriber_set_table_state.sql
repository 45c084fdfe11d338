create or replace function londiste.subscriber_set_table_state(i_queue_name text, i_table_name text, i_snapshot text, i_merge_state text)
returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.subscriber_set_table_state(4)
--     Stores the state of a subscribed table.
-- Parameters:
--     i_snapshot    - the provider's snapshot of which the copied data are, as text; null: none
--     i_merge_state - null, in-copy, catching-up, wanna-sync:TICK, do-sync:TICK or ok
-- Returns: 1
-- Raises: undefined_object when the table is not subscribed
-- Writes: londiste.subscriber_table; state ok also clears skip_truncate, which holds for one copy
-- ----------------------------------------------------------------------
declare
    v_table_name text := londiste.full_name(i_table_name);
begin
    update londiste.subscriber_table t
    set snapshot = i_snapshot,
        merge_state = i_merge_state,
        skip_truncate = case when i_merge_state = 'ok' then null else t.skip_truncate end
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
