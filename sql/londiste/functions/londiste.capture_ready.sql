create or replace function londiste.capture_ready(
    i_table regclass, i_relation regclass, i_event_tables regclass[], i_queue_id int, i_key_columns text[], i_plan text)
returns int
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_ready(6)
--     Tells a generated capture function whether it still fits its table, and which event table is current.
--
--     It is declared immutable although it reads catalogs. A generated function calls it with constants only, in an expression of
--     its own: so the server runs it once, when it plans that expression, and keeps the answer. The server plans the expression
--     again when one of the relations that stand in it as regclass constants changes in any way, which is just when the answer may
--     be another: DDL on the table does that, and so does rotation, because it truncates the event table that comes next. So the
--     check costs nothing as long as nothing changed.
--
--     The event table is only a hint; the insert compares it with pgq.queue.
-- Parameters:
--     i_event_tables - the event tables of the queue; named here for the sake of the above
-- Returns: number of the current event table, or -1 when the function does not fit
-- ----------------------------------------------------------------------
begin
    if londiste.capture_plan(i_table, i_relation, i_key_columns) <> i_plan then
        return -1;
    end if;
    return coalesce((select q.queue_cur_table from pgq.queue q where q.queue_id = i_queue_id), -1);
end;
$$ language plpgsql immutable set search_path = pg_catalog, pg_temp;
