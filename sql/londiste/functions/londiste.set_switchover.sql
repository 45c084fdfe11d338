create or replace function londiste.set_switchover(
    i_queue_name text, i_is_back boolean, i_phase text, i_fence_until bigint, i_new_was bigint) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.set_switchover(5)
--     Stores how far the switchover of a queue is.
-- Parameters: i_phase - see londiste.switchover; null: the row is deleted
-- Writes: londiste.switchover
-- ----------------------------------------------------------------------
begin
    if i_phase is null then
        delete from londiste.switchover s where s.queue_name = i_queue_name;
        return;
    end if;
    insert into londiste.switchover as s (queue_name, is_back, phase, fence_until, new_was, fenced_at)
    values (i_queue_name, i_is_back, i_phase, i_fence_until, i_new_was, case when i_phase = 'fenced' then clock_timestamp() end)
    on conflict (queue_name) do update
        set is_back = excluded.is_back, phase = excluded.phase, fence_until = excluded.fence_until, new_was = excluded.new_was,
            fenced_at = case when excluded.phase in ('fenced', 'prepared') then excluded.fenced_at else s.fenced_at end,
            changed_at = clock_timestamp();
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
