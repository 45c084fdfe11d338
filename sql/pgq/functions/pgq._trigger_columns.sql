create or replace function pgq._trigger_columns(
    in i_relid oid,
    out names text[], out types oid[], out is_generated boolean[], out key_columns text[])
as $$
-- ----------------------------------------------------------------------
-- Function: pgq._trigger_columns(1)
--     Describes a table's live columns, and its primary key.
-- Parameters:
--     i_relid - the table
-- Returns:
--     names, types, is_generated - the columns in order
--     key_columns                - the primary key's columns in its order, null when there is none
-- ----------------------------------------------------------------------
begin
    -- Generated columns came with PostgreSQL 12, and the name of their mark in the catalog with them: an older server
    -- never gets to read the first query.
    if current_setting('server_version_num')::integer >= 120000 then
        select array_agg(a.attname::text order by a.attnum), array_agg(a.atttypid order by a.attnum),
               array_agg(a.attgenerated <> '' order by a.attnum)
        into names, types, is_generated
        from pg_attribute a
        where a.attrelid = i_relid
          and a.attnum > 0
          and not a.attisdropped;
    else
        select array_agg(a.attname::text order by a.attnum), array_agg(a.atttypid order by a.attnum),
               array_agg(false)
        into names, types, is_generated
        from pg_attribute a
        where a.attrelid = i_relid
          and a.attnum > 0
          and not a.attisdropped;
    end if;
    select array_agg(a.attname::text order by k.nr) into key_columns
    from pg_constraint c,
         lateral unnest(c.conkey) with ordinality as k (attnum, nr),
         pg_attribute a
    where c.conrelid = i_relid
      and c.contype = 'p'
      and a.attrelid = i_relid
      and a.attnum = k.attnum;
end;
$$ language plpgsql;
