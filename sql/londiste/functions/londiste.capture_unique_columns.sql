create or replace function londiste.capture_unique_columns(i_relation oid)
returns table (index_oid oid, column_names text[], is_primary boolean, is_immediate boolean, is_certain boolean)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_unique_columns(1)
--     Returns the sets of columns of a table in which no two rows are equal: the columns of each unique index that is valid,
--     not partial and has no expression.
--
--     A transaction of isolation level repeatable read still sees an index that another session has dropped since, and rows may
--     have become equal in its columns. pg_get_indexdef() sees the catalogs as they are now.
-- Returns:
--     column_names - in table order
--     is_immediate - the index is checked for each row; false for a deferrable constraint, under which rows may be equal for a
--                    while
--     is_certain   - the index still exists, and none of its columns may be null or is generated
-- ----------------------------------------------------------------------
begin
    return query
    select k.indexrelid, k.names, k.indisprimary, k.indimmediate, k.usable and pg_get_indexdef(k.indexrelid) is not null
    from (select i.indexrelid, i.indisprimary, i.indimmediate,
                 array_agg(a.attname::text order by a.attnum) as names,
                 bool_and(a.attnotnull and coalesce(to_jsonb(a) ->> 'attgenerated', '') = '') as usable,
                 count(a.attnum) as found,
                 coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts) as wanted
          from pg_index i
          left join pg_attribute a on a.attrelid = i.indrelid and a.attnum > 0
              and a.attnum = any ((i.indkey::int2[])[0:coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts) - 1])
          where i.indrelid = i_relation
            and i.indisunique and i.indisvalid
            and i.indpred is null
          group by i.indexrelid, i.indisprimary, i.indimmediate, i.indnatts, to_jsonb(i)) k
    where k.found = k.wanted;
end;
$$ language plpgsql stable rows 2 set search_path = pg_catalog, pg_temp;
