create or replace function londiste.fence() returns trigger
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.fence(0)
--     Trigger before each statement that writes to an armed table (londiste.fence_arm). Lets the statement pass while the fence is
--     open, and for a session that shows the pass.
--
--     The state is a sequence and not a row: a sequence is read as it is now, also in a transaction whose snapshot is older than the
--     fence. The shared lock is held until the writer's transaction ends, and whoever closes the fence takes it exclusively. So a
--     transaction that has passed ends before the fence is closed, and one that comes later reads the new state.
--
--     A fence that has expired is opened by the first writer who finds it so: a clock that is set back later does not close it again.
-- Raises: read_only_sql_transaction, with the text stored by londiste.fence_close()
-- Writes: londiste.fence_state, when it has expired
-- Locks: the gate (see londiste.fence_close) in share mode until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_pass      text := current_setting('londiste.pass', true);
    v_state     bigint;
    v_message   text;
    v_hint      text;
begin
    if v_pass <> '' and v_pass = (select f.pass from londiste.fence f) then
        return null;
    end if;
    -- The lock of londiste.fence_close(). Called here by its keys: this is the cost of each statement while the table is armed.
    perform pg_advisory_xact_lock_shared(1919709038, 1734440037);
    select s.last_value into v_state from londiste.fence_state s;
    if v_state = 1 then
        return null;
    end if;
    if v_state <= londiste.fence_clock() then
        perform setval('londiste.fence_state', 1);
        return null;
    end if;
    select f.message, f.hint into v_message, v_hint from londiste.fence f;
    if v_state < 9223372036854775807 then
        v_hint := concat_ws(' ', v_hint, format('The fence opens by itself at %s UTC.',
            to_char(to_timestamp(v_state / 1000000.0) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')));
    end if;
    raise exception using
        errcode = 'read_only_sql_transaction',
        message = coalesce(v_message, 'nothing can be written to this database: a switchover has closed it'),
        hint = coalesce(v_hint, 'Connect to the database that has taken over.');
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;
