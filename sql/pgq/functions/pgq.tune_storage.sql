create or replace function pgq.tune_storage(i_queue_name text)
returns integer as $$
-- ----------------------------------------------------------------------
-- Function: pgq.tune_storage(1)
--     Sets the storage parameters of a queue's event tables. Rows are only added until the whole table is truncated: pages
--     can be filled, and vacuum would read the whole table and find nothing to remove.
-- Parameters:
--     i_queue_name - name of the queue
-- Returns:
--     1, or 0 when there is no such queue
-- Locks:
--     each event table in share update exclusive mode, which keeps out DDL and vacuum, not inserts or reads
-- ----------------------------------------------------------------------
declare
    v_table     regclass;
begin
    for v_table in
        select (q.queue_data_pfx || '_' || nr::text)::regclass
        from pgq.queue q, generate_series(0, q.queue_ntables - 1) nr
        where q.queue_name = i_queue_name
        order by nr
    loop
        perform pgq._run_ddl(format('alter table %s set (fillfactor = 100, autovacuum_enabled = off,'
                       ' toast.autovacuum_enabled = off)', v_table));
    end loop;
    return found::integer;
end;
$$ language plpgsql strict set search_path = pg_catalog, pg_temp;
