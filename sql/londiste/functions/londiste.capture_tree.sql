create or replace function londiste.capture_tree(i_table oid) returns setof oid
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_tree(1)
--     Returns the tables through which rows of a table can be written: the table; on all levels, the tables of which it is a
--     partition or from which it inherits; and the tables that are partitions of it or inherit from it.
-- ----------------------------------------------------------------------
begin
    return query
    with recursive above as (
        select i_table as relation
        union
        select i.inhparent
        from above a
        join pg_inherits i on i.inhrelid = a.relation
    ), below as (
        select i_table as relation
        union
        select i.inhrelid
        from below b
        join pg_inherits i on i.inhparent = b.relation
    )
    select relation from above
    union
    select relation from below;
end;
$$ language plpgsql stable rows 4 set search_path = pg_catalog, pg_temp;
