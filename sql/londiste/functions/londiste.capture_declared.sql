create or replace function londiste.capture_declared(i_relation oid, out names text[], out types oid[])
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_declared(1)
--     Returns names and declared types of a table's live columns, in table order.
--
--     A transaction of isolation level repeatable read sees the catalogs as of its first statement, but its statements run on
--     the present table. Names and types are then taken from the row type, which is always the present one: another session may
--     have changed the table in between.
-- ----------------------------------------------------------------------
begin
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        execute format('select array(select json_object_keys(row_to_json(r)) from (select (null::%s).*) r)', i_relation::regclass)
        into names;
        execute format('select array[%s]::oid[] from (select (null::%s).*) r',
                       (select string_agg(format('pg_typeof(r.%I)', n), ', ' order by nr)
                        from unnest(names) with ordinality u(n, nr)), i_relation::regclass)
        into types;
    else
        select array_agg(a.attname order by a.attnum), array_agg(a.atttypid order by a.attnum)
        into names, types
        from pg_attribute a
        where a.attrelid = i_relation and a.attnum > 0 and not a.attisdropped;
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
