create or replace function londiste.capture_enabled(i_table oid) returns "char"
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_enabled(1)
--     Returns how the capture triggers of a table have to be enabled. They fire always when replication itself writes to the
--     table, or to another table through which its rows can be written (londiste.capture_tree), so that these changes go on
--     along the chain: Londiste may write, and logical replication does write, with session_replication_role = replica.
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
