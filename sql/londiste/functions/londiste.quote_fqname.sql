create or replace function londiste.quote_fqname(i_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.quote_fqname(1)
--     Quotes a name for use in SQL.
-- Parameters: i_name - name, as for londiste.split_fqname
-- Returns: schema.name, each part quoted if it needs quotes
-- ----------------------------------------------------------------------
select pg_catalog.format('%I.%I', n.schema_name, n.object_name)
from londiste.split_fqname(i_name) n;
$$ language sql strict immutable;
