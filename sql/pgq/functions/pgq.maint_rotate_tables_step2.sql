create or replace function pgq.maint_rotate_tables_step2()
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.maint_rotate_tables_step2(0)
--     Stores in pgq.queue, for each queue that has rotated, a transaction id that was given out after the rotation was
--     visible (queue_switch_step2). Must run in a later transaction than pgq.maint_rotate_tables_step1(1).
-- Returns:
--     0
-- Writes:
--     pgq.queue
-- Locks:
--     the rows of these queues; leaves out rows that other sessions have locked
-- ----------------------------------------------------------------------
begin
    update pgq.queue
    set queue_switch_step2 = txid_current()
    where queue_id in (
        select q.queue_id
        from pgq.queue q
        where q.queue_switch_step2 is null
          and q.queue_switch_step1 <> txid_current()
        for no key update skip locked);
    return 0;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
