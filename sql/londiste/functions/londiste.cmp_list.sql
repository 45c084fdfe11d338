create or replace function londiste.cmp_list(i_list text, i_table_name text, i_column text, i_condition text) returns boolean
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.cmp_list(4)
--     Compares a comma-separated list with the values of a column, without regard to order. Runs with the caller's rights:
--     i_condition is executed as SQL.
-- Parameters:
--     i_list       - the list, e.g. "public.a,public.b"
--     i_table_name - unquoted name of the table
--     i_column     - unquoted name of the column
--     i_condition  - SQL condition that selects the rows
-- Returns: true when the list and the column have the same values
-- ----------------------------------------------------------------------
declare
    v_live_list text[];
begin
    execute format('select array_agg(%I::text order by %I::text) from %s where %s',
                   i_column, i_column, londiste.quote_fqname(i_table_name), i_condition)
    into v_live_list;

    return coalesce(v_live_list, '{}')
         = array(select x from unnest(string_to_array(i_list, ',')) x where x <> '' order by x);
end;
$$ language plpgsql stable;
