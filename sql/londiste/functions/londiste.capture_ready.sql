create or replace function londiste.capture_ready(
    i_table regclass, i_relation regclass, i_queue regclass[], i_queue_id int, i_key_columns text[], i_plan text)
returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_ready(6)
--     Tells a generated capture function whether it still fits its table, and which event table is current.
--
--     The function is declared immutable although it reads tables. Generated functions call it with constants only, in an
--     expression of its own, so the server runs it once, when it plans that expression, and keeps the result. The server plans
--     the expression again when the definition changes of a relation that the expression names as a regclass constant. Each
--     change that gives another result changes one of these definitions:
--       - DDL changes the table, or the relation whose trigger has fired;
--       - rotation truncates one of the queue's event tables;
--       - the trigger londiste.queue_changed touches the parent of the event tables when a property of the queue changes that a
--         writer has to know.
--     So the check costs nothing as long as nothing has changed.
--
--     A session learns of such a change when it next takes a lock that it does not hold yet. Until then it may write into the
--     event table that was current before. Readers expect such events of transactions that were open at the rotation.
-- Parameters:
--     i_queue       - the parent of the event tables, the event tables in order, and the event sequence
--     i_key_columns - as in londiste.capture
--     i_plan        - md5 of londiste.capture_plan
-- Returns:
--     0 or more - the function fits: number of the current event table
--     -1 - the function does not fit, or only pgq.insert_event() can tell whether an event may be inserted
--     -2 - the function fits, but the queue has to be looked up each time: schema pgq is not rlondiste's, or this transaction
--          sees the queue as it was when the transaction began
-- Writes: setting jit, off until the end of the transaction
-- ----------------------------------------------------------------------
declare
    v_queue record;
begin
    -- The session keeps the plans that it makes after this expression. When the first statement has many rows, their cost would
    -- have the server compile them, and each later call, also for one row, would take a hundred times as long.
    if current_setting('server_version_num')::integer >= 110000 then
        perform set_config('jit', 'off', true);
    end if;

    if md5(londiste.capture_plan(i_table, i_relation, i_key_columns)) <> i_plan then
        return -1;
    end if;

    if to_regclass('pgq.queue') is null then
        -- The error that londiste.capture_statement raises says what to do.
        return -1;
    end if;

    -- londiste.capture_queue is volatile, so it sees the queue as of now, not as of the start of the writer's statement.
    select q.* into v_queue
    from londiste.capture_queue(i_queue_id) q;
    if v_queue.relations is distinct from i_queue then
        return -1;
    elsif not v_queue.is_watched or current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        return -2;
    elsif v_queue.is_special then
        return -1;
    end if;
    return v_queue.current_table;
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
