create or replace function londiste.capture_shape(i_capture londiste.capture, i_table oid, i_relation oid)
returns londiste.capture_shape
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_shape(3)
--     Returns a relation with the columns that go into events (all_columns), and the columns by which events name a row
--     (key_columns): those of londiste.capture_usable_key, or all_columns when DDL has removed every key. The ignored columns
--     are left out of both, except columns of the key. Without a key, generated columns name no row: the subscriber may not have
--     them.
--
--     In events of format sql every keyword is quoted, also an unreserved one, as the C triggers of PgQ 2.1 do: the subscriber's
--     PostgreSQL may reserve the word.
-- ----------------------------------------------------------------------
declare
    v_shape londiste.capture_shape;
    -- Outside of the query below, which would call the function for each column.
    v_key text[] := londiste.capture_usable_key(i_table, i_capture.key_columns);
    v_generated text[] := array(select a.attname::text
                                from pg_attribute a
                                where a.attrelid = i_relation and a.attnum > 0 and not a.attisdropped
                                  and coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '');
begin
    select array_agg(u.c order by u.nr) filter (where u.name <> all (i_capture.ignored_columns) or u.name = any (v_key)),
           coalesce(array_agg(u.c order by u.nr) filter (where u.name = any (v_key)),
                    array_agg(u.c order by u.nr)
                        filter (where u.name <> all (i_capture.ignored_columns) and u.name <> all (v_generated)))
    into v_shape.all_columns, v_shape.key_columns
    from (select c.column_nr as nr, c.column_name as name,
                 row(c.column_nr, c.column_name, c.column_type, c.is_nullable, c.is_fixed,
                     case when c.column_name ~ '^[a-z_][a-z0-9_]*$' and k.word is null then c.column_name
                          else londiste.capture_field(c.column_name) end)::londiste.capture_column as c
          from londiste.capture_columns(i_relation) c
          left join pg_get_keywords() k on k.word = c.column_name) u;
    v_shape.table_oid := i_table;
    v_shape.relation := i_relation;
    return v_shape;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
