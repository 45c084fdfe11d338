create or replace function londiste.capture_enabled(i_table_name text) returns "char"
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_enabled(1)
--     How the capture triggers of a table are enabled: always, when this database itself subscribes to the table, because the
--     changes that replay makes there have to go on along the chain even if it works as session_replication_role replica.
-- Returns: A or O, as in pg_trigger.tgenabled
-- ----------------------------------------------------------------------
select case when exists (select 1 from londiste.subscriber_table t where t.table_name = i_table_name) then 'A' else 'O' end::"char";
$$ language sql stable set search_path = pg_catalog, pg_temp;
