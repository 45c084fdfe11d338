create or replace function londiste.cmp_list(i_list text, i_queue_name text, i_table_name text, i_column text) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.cmp_list(4)
--     Compares a comma-separated list with the values that a column has in the rows of a queue, without regard to order. Runs
--     with the caller's rights.
-- Parameters:
--     i_list       - the list, e.g. "public.a,public.b"; null and '' are the empty list
--     i_queue_name - the rows with this queue_name are taken
--     i_table_name - unquoted name of the table, e.g. "londiste.subscriber_table"; it has a column queue_name
--     i_column     - unquoted name of the column, e.g. "table_name"
-- Returns: true when the list and the column have the same values
-- ----------------------------------------------------------------------
declare
    v_live_list text[];
begin
    execute format('select array_agg(%I::text order by %I::text) from %s where queue_name = $1',
                   i_column, i_column, londiste.quote_fqname(i_table_name))
    into v_live_list
    using i_queue_name;

    return coalesce(v_live_list, '{}')
         = array(select x from unnest(string_to_array(i_list, ',')) x where x <> '' order by x);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
