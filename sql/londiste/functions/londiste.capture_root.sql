create or replace function londiste.capture_root(i_queue_name text, i_table_name text, i_relation oid) returns oid
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_root(3)
--     Returns the captured table that the trigger of a relation works for: the relation itself, or for a partition the table
--     above it that was added to the set. A renamed table is found by its oid, a table of a restored dump by its name.
-- ----------------------------------------------------------------------
begin
    return coalesce(
        (select r.table_oid from londiste.capture_relation r
         where r.queue_name = i_queue_name and r.table_name = i_table_name and r.relation = i_relation
           and coalesce(r.made_in = (select londiste.catalog_id()), true)
           and exists (select 1 from pg_class c where c.oid = r.table_oid)),
        londiste.find_table_oid(i_table_name),
        (select max(r.table_oid) from londiste.capture_relation r
         where r.queue_name = i_queue_name and r.table_name = i_table_name
           and coalesce(r.made_in = (select londiste.catalog_id()), true)
           and exists (select 1 from pg_class c where c.oid = r.table_oid)),
        i_relation);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
