create or replace function londiste.full_name(i_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.full_name(1)
--     The form in which names are stored: schema.name, unquoted.
-- ----------------------------------------------------------------------
select n.schema_name || '.' || n.object_name
from londiste.split_fqname(i_name) n;
$$ language sql strict immutable;
