create or replace function londiste.capture_key(i_relation oid) returns text[]
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_key(1)
--     The columns that identify a row of a table: the primary key, else the unique index with the fewest columns among those that
--     hold for every row at every moment (valid, not partial, not deferrable, no expression, no column that may be null).
--
--     A transaction of isolation level repeatable read also sees indexes that another session has dropped since: rows may have become
--     equal in their columns. pg_get_indexdef() looks at the catalogs as they are now.
-- Returns: column names in table order, or null when the table has no such key
-- ----------------------------------------------------------------------
select k.names
from (select i.indisprimary, i.indexrelid,
             array_agg(a.attname::text order by a.attnum) as names,
             bool_and(a.attnotnull and coalesce(to_jsonb(a) ->> 'attgenerated', '') = '') as usable,
             count(a.attnum) as found,
             coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts) as wanted
      from pg_index i
      left join pg_attribute a on a.attrelid = i.indrelid and a.attnum > 0
          and a.attnum = any ((i.indkey::int2[])[0:coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts) - 1])
      where i.indrelid = i_relation
        and i.indisunique and i.indisvalid and i.indimmediate
        and i.indpred is null
        and pg_get_indexdef(i.indexrelid) is not null
      group by i.indisprimary, i.indexrelid, i.indnatts, to_jsonb(i)) k
where k.usable and k.found = k.wanted
order by k.indisprimary desc, k.wanted, k.indexrelid
limit 1;
$$ language sql stable set search_path = pg_catalog, pg_temp;
