create or replace function londiste.fence_open(i_from bigint) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence_open(1)
--     Opens the fence. Does not wait at the gate, since writers who wait there shall go on.
-- Parameters: i_from - the state that the caller has left; a fence of somebody else stays as it is
-- Returns: whether the fence is open now
-- Writes: londiste.fence_state
-- ----------------------------------------------------------------------
declare
    v_state bigint;
begin
    select s.last_value into v_state from londiste.fence_state s;
    if v_state <> 1 and v_state = i_from then
        perform setval('londiste.fence_state', 1);
        v_state := 1;
    end if;
    return v_state = 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
