create or replace function londiste.capture_problem(i_queue_name text, i_table_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_problem(2)
--     Returns what is wrong with the capture of a table in a queue's set, in words. Changes nothing, and takes only the locks
--     of a reader of the catalog.
-- Parameters: i_table_name - name of the table as in londiste.provider_table
-- Returns: why changes of the table are not captured, or may not have been captured; null: nothing is wrong
-- ----------------------------------------------------------------------
begin
    return (
        select case
                   when c.queue_name is not null
                   then (select case when k.table_oid is null then 'there is no such table' else coalesce(k.loss, k.remark) end
                         from londiste.capture_check(t.queue_name, t.table_name) k)
                   when t.trigger_name is not null
                   then (select case when k.table_oid is null then 'there is no such table' else k.loss end
                         from londiste.capture_check_classic(t.queue_name, t.table_name) k)
               end
        from londiste.provider_table t
        left join londiste.capture c on c.queue_name = t.queue_name and c.table_name = t.table_name
        where t.queue_name = i_queue_name and t.table_name = i_table_name);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
