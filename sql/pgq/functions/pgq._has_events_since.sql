create or replace function pgq._has_events_since(i_table text, i_txid bigint)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._has_events_since(2)
--     Looks into an event table that should have nothing for the caller, for an event of a transaction not older than
--     a given one. Waits while a rotation is just emptying the table.
--
--     Leaves no lock behind. A consumer may keep its transaction open while it works on a batch, and its next one
--     begins right after: a lock on the oldest table that lasted as long would leave rotation no gap to empty it in. A
--     lock goes early only with the subtransaction that took it, so the look is taken in one that ends by an error.
-- Parameters:
--     i_table - name of the table
--     i_txid  - the oldest transaction of interest
-- Returns:
--     whether there is one
-- ----------------------------------------------------------------------
declare
    v_found     boolean;
begin
    begin
        -- By max(), which the planner never answers with a scan of the table.
        execute format('select coalesce(max(ev_txid) >= $1, false) from %s', i_table::regclass)
        into v_found
        using i_txid;
        raise exception using errcode = 'PQ001', message = 'end of the look';
    exception
        when sqlstate 'PQ001' then
            return v_found;
    end;
end;
$$ language plpgsql;
