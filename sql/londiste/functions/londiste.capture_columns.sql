create or replace function londiste.capture_columns(i_relation oid)
returns table (column_nr int, column_name text, column_type oid, is_nullable boolean)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_columns(1)
--     The columns of a table whose values go into events: the live ones, without generated columns, which the subscriber computes
--     for itself.
-- Returns: columns in table order; column_type of a domain is the type below it
-- ----------------------------------------------------------------------
with recursive base as (
    select a.attnum, a.attname, a.attnotnull, a.atttypid, t.typtype, t.typbasetype
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    where a.attrelid = i_relation
      and a.attnum > 0
      and not a.attisdropped
      and coalesce(to_jsonb(a) ->> 'attgenerated', '') = ''
    union all
    select b.attnum, b.attname, b.attnotnull, b.typbasetype, t.typtype, t.typbasetype
    from base b
    join pg_type t on t.oid = b.typbasetype
    where b.typtype = 'd'
)
select b.attnum::int, b.attname::text, b.atttypid, not b.attnotnull
from base b
where b.typtype <> 'd'
order by b.attnum;
$$ language sql stable set search_path = pg_catalog, pg_temp;
