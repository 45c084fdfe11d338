create or replace function pgq.finish_batch(x_batch_id bigint)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.finish_batch(1)
--     Closes a batch. The consumer's position moves to the batch's end tick.
-- Parameters:
--     x_batch_id - id of an active batch
-- Returns:
--     1; 0 with a warning when the batch is not active, so that the call may be repeated
-- Writes:
--     pgq.subscription
-- Locks:
--     the subscription's row until the end of the transaction
-- ----------------------------------------------------------------------
begin
    update pgq.subscription
    set sub_active = now(),
        sub_last_tick = sub_next_tick,
        sub_next_tick = null,
        sub_batch = null
    where sub_batch = x_batch_id;
    if not found then
        raise warning 'finish_batch: batch % not found', x_batch_id;
        return 0;
    end if;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
