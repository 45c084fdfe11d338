create or replace function londiste.capture_current(
    i_number int, i_queue_id int, i_mark text, i_table regclass, i_relation regclass, variadic i_queue regclass[])
returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_current(5)
--     Tells a generated capture function whether it still fits its table and one event table is current. Immutable, and right, for
--     the same reason as londiste.capture_ready, which costs a connection ten times as much: a function asks that one when no event
--     table is current by this one.
-- Parameters:
--     i_number - number of the event table
--     i_mark   - as londiste.capture_look returned it, before the function was made
--     i_queue  - as for londiste.capture_ready
-- Returns: whether events may be written into the event table. Also false when londiste.capture_ready has to tell: under another
--     mark, in a session that writes without replication (session_replication_role local; the server drops all plans of the
--     session when this setting changes), and in a transaction that sees the queue as it was when the transaction began, where marks
--     are those of that time
-- Writes: setting jit, as londiste.capture_ready
-- ----------------------------------------------------------------------
declare
    v_look record;
begin
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable')
        or current_setting('session_replication_role') = 'local'
    then
        return false;
    end if;
    v_look := londiste.capture_look(i_queue, i_queue_id, i_table, i_relation);
    if v_look.current_table is distinct from i_number or v_look.mark is distinct from i_mark then
        return false;
    end if;
    if current_setting('server_version_num')::integer >= 110000 then
        perform set_config('jit', 'off', true);
    end if;
    return true;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
