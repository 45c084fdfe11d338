create or replace function londiste.capture_relations(i_table oid)
returns setof oid
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_relations(1)
--     Returns the relations that need triggers to capture a table: the table and, when it is partitioned, its partitions on all
--     levels. A statement fires only the statement triggers of the table that it names, so each level needs its own.
--
--     Foreign tables are left out: the server gives them the row triggers of the table, and they need no other triggers.
-- ----------------------------------------------------------------------
begin
    return query
    with recursive tree as (
        select c.oid, c.relkind
        from pg_class c
        where c.oid = i_table
        union all
        select c.oid, c.relkind
        from tree t
        join pg_inherits i on i.inhparent = t.oid
        join pg_class c on c.oid = i.inhrelid
        where t.relkind = 'p'
    )
    select t.oid
    from tree t
    where t.relkind in ('r', 'p');
end;
$$ language plpgsql stable rows 4 set search_path = pg_catalog, pg_temp;
