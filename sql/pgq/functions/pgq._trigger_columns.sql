create or replace function pgq._trigger_columns(
    in i_relid oid, in i_with_key boolean,
    out names text[], out types oid[], out is_generated boolean[], out key_columns text[])
as $$
-- ----------------------------------------------------------------------
-- Function: pgq._trigger_columns(2)
--     Returns a table's columns and its primary key, as they are now.
--
--     A transaction of isolation level repeatable read sees the catalogs as of its first statement, but its statements run on
--     the present table, which another session may have changed in between. Names and types are then taken from the row type and
--     the key from the definition of its index, which are always the present ones.
-- Parameters:
--     i_relid    - the table
--     i_with_key - whether to look for the key
-- Returns:
--     names, types, is_generated - the columns in the table's order, without dropped ones
--     key_columns                - the columns of the primary key in the key's order; null when there is no key or i_with_key
--                                  is false
-- ----------------------------------------------------------------------
declare
    v_numbers   smallint[];
    v_key       smallint[];
    v_index     oid;
    v_row       text := i_relid::regclass;
begin
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        execute format('select array(select json_object_keys(row_to_json(r)) from (select (null::%s).*) r)', v_row) into names;
        execute format('select array[%s]::oid[] from (select (null::%s).*) r',
                       (select string_agg(format('pg_typeof(r.%I)', n), ', ' order by nr)
                        from unnest(names) with ordinality u(n, nr)), v_row)
        into types;
        is_generated := array(
            select coalesce(to_jsonb(a) ->> 'attgenerated', '') <> ''
            from unnest(names) with ordinality u(n, nr)
            left join pg_attribute a on a.attrelid = i_relid and a.attname = u.n and not a.attisdropped
            order by u.nr);
        if i_with_key then
            select c.conkey, c.conindid into v_key, v_index
            from pg_constraint c
            where c.conrelid = i_relid and c.contype = 'p';
            if found then
                key_columns := array(
                    select u.n
                    from generate_series(1, cardinality(v_key)) k(nr)
                    join pg_attribute a on a.attrelid = i_relid and a.attnum = v_key[k.nr]
                    -- The index is gone when another session has dropped the key, perhaps to add it again.
                    join unnest(names) u(n)
                      on quote_ident(u.n) = coalesce(pg_get_indexdef(v_index, k.nr, false), quote_ident(a.attname))
                    order by k.nr);
                key_columns := nullif(key_columns, '{}');
            end if;
        end if;
        return;
    end if;

    -- Generated columns came with PostgreSQL 12, and the name of their mark in the catalog with them: an older server
    -- never gets to read the first query. The order comes from the subquery, one sort or none for all.
    if current_setting('server_version_num')::integer >= 120000 then
        select array_agg(a.attname::text), array_agg(a.atttypid), array_agg(a.attgenerated <> ''), array_agg(a.attnum)
        into names, types, is_generated, v_numbers
        from (select * from pg_attribute c
              where c.attrelid = i_relid and c.attnum > 0 and not c.attisdropped
              order by c.attnum) a;
    else
        select array_agg(a.attname::text), array_agg(a.atttypid), array_agg(false), array_agg(a.attnum)
        into names, types, is_generated, v_numbers
        from (select * from pg_attribute c
              where c.attrelid = i_relid and c.attnum > 0 and not c.attisdropped
              order by c.attnum) a;
    end if;
    if i_with_key then
        select c.conkey into v_key from pg_constraint c where c.conrelid = i_relid and c.contype = 'p';
        if found then
            for v_nr in 1 .. cardinality(v_key) loop
                key_columns := array_append(key_columns, names[array_position(v_numbers, v_key[v_nr])]);
            end loop;
        end if;
    end if;
end;
$$ language plpgsql;
