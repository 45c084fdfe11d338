create or replace function londiste.capture_enabled(i_table oid) returns "char"
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_enabled(1)
--     How the capture triggers of a table are enabled: always, when replication itself writes to it or to one of its partitions, as
--     Londiste may and logical replication does with session_replication_role = replica. These changes have to go on along the chain.
-- Parameters: i_table - the captured table
-- Returns: A or O, as in pg_trigger.tgenabled
-- ----------------------------------------------------------------------
begin
    return case
        when exists (select 1
                     from londiste.capture_tree(i_table) t(relation)
                     join pg_class c on c.oid = t.relation
                     join pg_namespace n on n.oid = c.relnamespace
                     join londiste.subscriber_table s on s.table_name = n.nspname || '.' || c.relname)
            or exists (select 1
                       from londiste.capture_tree(i_table) t(relation)
                       join pg_subscription_rel s on s.srrelid = t.relation)
        then 'A'
        else 'O'
    end::"char";
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
