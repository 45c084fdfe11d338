create or replace function pgq._has_events_since(i_table text, i_txid bigint)
returns boolean as $$
-- ----------------------------------------------------------------------
-- Function: pgq._has_events_since(2)
--     Tells whether an event table has an event of a given transaction or of a later one. Called for tables that normally
--     have no events for the caller.
--
--     The lock on the table is released when the function returns. A consumer may keep its transaction open while it works on
--     a batch, and begin the next one right after it: a lock on the oldest table until then would never let rotation empty
--     that table. A lock ends before its transaction only when the subtransaction that took it is rolled back, so the table
--     is read in a subtransaction that ends by an error.
-- Parameters:
--     i_table - name of the table
--     i_txid  - id of the transaction
-- Returns:
--     whether the table has such an event
-- Locks:
--     the table in access share mode until the function returns; waits while a rotation empties the table
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
