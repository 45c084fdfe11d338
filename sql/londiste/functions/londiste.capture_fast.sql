create or replace function londiste.capture_fast(
    i_capture londiste.capture, i_shape londiste.capture_shape, i_old text, i_new text,
    out condition text, out data text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_fast(4)
--     Returns the short way to an update event of format sql: for rows in which exactly the columns have changed that usually
--     change (londiste.capture.hot_columns), the event has the same columns each time. PL/pgSQL builds an expression anew in each
--     transaction, at a cost for each of its steps, and this way has far fewer steps than londiste.capture_sql_changes.
--
--     A row for which the condition is not true takes the long way, so the columns need not be right, and "=" may be null.
-- Parameters:
--     i_old, i_new - prefixes of the old and new row's columns, e.g. "old"
-- Returns: both null when there is no short way
--     condition - true when all hot columns have changed, and nothing else
--     data      - expression for ev_data
-- ----------------------------------------------------------------------
declare
    v_key record;
begin
    if i_capture.event_format <> 'sql' or coalesce(cardinality(i_capture.hot_columns), 0) = 0
        or i_capture.hot_columns && array(select k.column_name from unnest(i_shape.key_columns) k)
        or cardinality(i_capture.hot_columns) + cardinality(i_shape.key_columns) > 90
        or (select count(*)
            from unnest(i_shape.all_columns) c
            where c.column_name = any (i_capture.hot_columns)
              and (c.is_fixed or c.column_type in ('numeric'::regtype, 'float4'::regtype, 'float8'::regtype, 'jsonb'::regtype)))
           <> cardinality(i_capture.hot_columns)
    then
        return;
    end if;

    select * into v_key from londiste.capture_sql_key(i_old, i_shape.key_columns);
    select string_agg(
               case
                   when c.column_name = any (i_capture.hot_columns)
                   then format('%1$s.%3$s operator(pg_catalog.<>) %2$s.%3$s', i_old, i_new, londiste.capture_field(c.column_name))
                   when not c.is_fixed
                   then londiste.capture_same(i_old, i_new, i_shape.all_columns[c.nr])
                   when c.is_nullable and c.column_name = any (i_capture.empty_columns)
                   then format('%1$s.%3$s is null and %2$s.%3$s is null', i_old, i_new, londiste.capture_field(c.column_name))
                   else format('%1$s.%3$s operator(pg_catalog.=) %2$s.%3$s', i_old, i_new, londiste.capture_field(c.column_name))
               end, ' and ' order by c.column_name <> all (i_capture.hot_columns), c.nr),
           format('pg_catalog.format(%L, %s, %s)',
                  string_agg(replace(c.fragment_name, '%', '%%') || '=%L', ',' order by c.nr)
                      filter (where c.column_name = any (i_capture.hot_columns)) || ' where ' || v_key.template,
                  string_agg(format('%s.%s', i_new, londiste.capture_field(c.column_name)), ', ' order by c.nr)
                      filter (where c.column_name = any (i_capture.hot_columns)),
                  array_to_string(v_key.arguments, ', '))
    into condition, data
    from unnest(i_shape.all_columns) with ordinality c(column_nr, column_name, column_type, is_nullable, is_fixed, fragment_name, nr);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
