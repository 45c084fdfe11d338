create or replace function londiste.capture_key(i_relation oid) returns text[]
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_key(1)
--     Returns the columns that identify a row of a table: the primary key, else the unique index with the fewest columns among
--     those that hold for every row at every moment (valid, not partial, not deferrable, no expression, no column that may be
--     null).
-- Returns: column names in table order, or null when the table has no such key
-- ----------------------------------------------------------------------
begin
    return (
        select u.column_names
        from londiste.capture_unique_columns(i_relation) u
        where u.is_immediate and u.is_certain
        order by u.is_primary desc, cardinality(u.column_names), u.index_oid
        limit 1);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
