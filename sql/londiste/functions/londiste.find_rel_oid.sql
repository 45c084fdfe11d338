create or replace function londiste.find_rel_oid(i_fqname text, i_kind text) returns oid
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.find_rel_oid(2)
--     Looks up a relation by its unquoted name.
-- Parameters:
--     i_fqname - name, as for londiste.split_fqname
--     i_kind   - pg_class.relkind: r table (also a partitioned one), S sequence, v view, ...
-- Returns: oid, or null when there is no such relation
-- ----------------------------------------------------------------------
select c.oid
from londiste.split_fqname(i_fqname) f
join pg_catalog.pg_namespace n on n.nspname = f.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = f.object_name
where c.relkind::text = i_kind
   or (i_kind = 'r' and c.relkind = 'p');
$$ language sql strict stable;
