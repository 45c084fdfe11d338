create or replace function londiste.capture_used_columns(
    i_capture londiste.capture, i_table oid, i_relation oid,
    out all_columns londiste.capture_column[], out key_columns londiste.capture_column[])
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_used_columns(3)
--     Returns the columns of a relation that go into events (all_columns), and the columns by which events name a row
--     (key_columns): those of londiste.capture_usable_key, or all_columns when DDL has removed every key. The ignored columns
--     are left out of both, except columns of the key. Without a key, generated columns name no row: the subscriber may not have
--     them.
-- ----------------------------------------------------------------------
declare
    -- Outside of the query below, which would call the function for each column.
    v_key text[] := londiste.capture_usable_key(i_table, i_capture.key_columns);
    v_generated text[] := array(select a.attname::text
                                from pg_attribute a
                                where a.attrelid = i_relation and a.attnum > 0 and not a.attisdropped
                                  and coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '');
begin
    select array_agg(c order by c.column_nr)
               filter (where c.column_name <> all (i_capture.ignored_columns) or c.column_name = any (v_key)),
           coalesce(array_agg(c order by c.column_nr) filter (where c.column_name = any (v_key)),
                    array_agg(c order by c.column_nr)
                        filter (where c.column_name <> all (i_capture.ignored_columns) and c.column_name <> all (v_generated)))
    into all_columns, key_columns
    from londiste.capture_columns(i_relation) c;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
