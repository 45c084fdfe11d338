create or replace function londiste.full_name(i_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.full_name(1)
--     Returns the form in which the tables of schema londiste store names: schema.name, unquoted.
-- Parameters: i_name - name, as for londiste.split_fqname
-- ----------------------------------------------------------------------
select n.schema_name || '.' || n.object_name
from londiste.split_fqname(i_name) n;
$$ language sql strict immutable;
