create or replace function londiste.capture_event_source(
    i_table oid, i_relation oid, i_operation text, i_key_columns text[], i_ignored_columns text[])
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_event_source(5)
--     The query that makes the events of one statement out of its transition tables londiste_old and londiste_new, in row order.
--
--     An update has its old and new rows in two tables, in the same order. They are joined by position, with a full join, because
--     that is never done as a nested loop: the plan is made when the function first runs, perhaps for one row, and serves later
--     statements of any size.
-- Parameters:
--     i_table, i_relation - the captured table, and the relation whose trigger this is for: the table or a partition
--     i_operation         - i, u, d or t (truncate)
--     i_key_columns       - key columns; may be null only for i and t
--     i_ignored_columns   - columns to leave out
-- Returns: a query with columns ev_type, ev_data, ev_extra1
-- ----------------------------------------------------------------------
declare
    v_table_name text;
    v_names text;
    v_new_values text;
    v_changes text;
    v_row_key text;
begin
    select quote_literal(n.nspname || '.' || c.relname)
    into v_table_name
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.oid = i_table;

    select string_agg(londiste.quote_fragment_name(c.column_name), ',' order by c.column_nr)
               filter (where c.column_name <> all (i_ignored_columns)),
           string_agg(format('coalesce(%s, %L)', londiste.capture_literal('n', c.column_name, c.column_type), 'null'),
                      $q$ || ',' || $q$ order by c.column_nr)
               filter (where c.column_name <> all (i_ignored_columns)),
           string_agg(format('case when %s then %L || coalesce(%s, %L) else %L end',
                             londiste.capture_differs(c.column_name, c.column_type),
                             ',' || londiste.quote_fragment_name(c.column_name) || '=',
                             londiste.capture_literal('n', c.column_name, c.column_type), 'NULL', ''),
                      E'\n        || ' order by c.column_nr)
               filter (where c.column_name <> all (i_ignored_columns)),
           string_agg(format('coalesce(%L || %s, %L)',
                             londiste.quote_fragment_name(c.column_name) || '=',
                             londiste.capture_literal('o', c.column_name, c.column_type),
                             londiste.quote_fragment_name(c.column_name) || ' is null'),
                      $q$ || ' and ' || $q$ order by c.column_nr)
               filter (where c.column_name = any (i_key_columns))
    into v_names, v_new_values, v_changes, v_row_key
    from londiste.capture_columns(i_relation) c;

    return case i_operation
        when 'i' then format(
$q$    select 'I'::text as ev_type, %L || %s || ')' as ev_data, %s::text as ev_extra1
    from londiste_new n$q$, '(' || v_names || ') values (', v_new_values, v_table_name)
        when 'd' then format(
$q$    select 'D'::text as ev_type, %s as ev_data, %s::text as ev_extra1
    from londiste_old o$q$, v_row_key, v_table_name)
        when 't' then format(
$q$    select 'R'::text as ev_type, ''::text as ev_data, %s::text as ev_extra1$q$, v_table_name)
        else format(
$q$    select 'U'::text as ev_type, substr(x.changes, 2) || ' where ' || x.row_key as ev_data, %s::text as ev_extra1
    from (
        select %s as changes,
            %s as row_key
        from (select t.*, row_number() over () as londiste_nr from londiste_old t) o
        full join (select t.*, row_number() over () as londiste_nr from londiste_new t) n on n.londiste_nr = o.londiste_nr
        order by n.londiste_nr
    ) x
    where x.changes <> ''$q$, v_table_name, v_changes, v_row_key)
    end;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
