create or replace function londiste.capture_event_source(
    i_capture londiste.capture, i_shape londiste.capture_shape, i_operation text, i_level text, i_more text)
returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_event_source(5)
--     Returns the query that makes events from changed rows, in the order of the rows.
--
--     The rows that a statement has updated come as two transition tables in the same order. They are joined by position, and
--     with a full join, because the server never executes a full join as a nested loop: the plan is made when the function
--     first runs, perhaps for one row, and is used for later statements of any size.
-- Parameters:
--     i_shape     - the relation whose rows have changed
--     i_operation - i, u or d
--     i_level     - where the rows are: statement - transition tables londiste_old and londiste_new; single - the same, but the
--                   query returns nothing unless the statement changed exactly one row; row - PL/pgSQL's old and new; dynamic -
--                   parameters of an execute: $1, for an update $1 the old row and $2 the new one; table - all rows of the
--                   relation
--     i_more      - more expressions for the result, each with a comma before it
-- Returns: a query with columns ev_type, ev_data and those of i_more, with the schema on every operator and function
-- ----------------------------------------------------------------------
declare
    v_columns londiste.capture_column[] := i_shape.all_columns;
    v_key londiste.capture_column[] := i_shape.key_columns;
    v_old text := case when i_level = 'row' then 'old' else 'o' end;
    v_new text := case when i_level = 'row' then 'new' else 'n' end;
    v_rows text;
    v_changed text;
begin
    if i_operation = 'i' then
        return format(E'select %s%s\n%s', londiste.capture_event(i_capture, 'i', v_columns, v_key, v_new), i_more,
                      case i_level when 'row' then '' when 'dynamic' then 'from (select ($1).*) n' else 'from londiste_new n' end);
    elsif i_operation = 'd' then
        return format(E'select %s%s\n%s', londiste.capture_event(i_capture, 'd', v_columns, v_key, v_old), i_more,
                      case i_level when 'row' then '' when 'dynamic' then 'from (select ($1).*) o'
                                   when 'table' then format('from only %s o', i_shape.relation::regclass) else 'from londiste_old o' end);
    end if;

    v_rows := case i_level
        when 'row' then ''
        when 'dynamic' then 'from (select ($1).*) o cross join (select ($2).*) n'
        when 'single' then 'from londiste_old o, londiste_new n'
        else 'from (select t.*, pg_catalog.row_number() over () as londiste_nr from londiste_old t) o
    full join (select t.*, pg_catalog.row_number() over () as londiste_nr from londiste_new t) n
    on n.londiste_nr operator(pg_catalog.=) o.londiste_nr' end;
    select string_agg(format('not (%s)', londiste.capture_same(v_old, v_new, c)), ' or ' order by c.column_nr)
    into v_changed
    from unnest(v_columns) c;

    if i_capture.event_format = 'sql' then
        return format(
'select %L::pg_catalog.text as ev_type, %s as ev_data%s
from (
    select %s as londiste_changes, %s
    %s
    %s
) x
where x.londiste_changes operator(pg_catalog.<>) %L',
            'U', londiste.capture_sql_update('x.londiste_changes', 'x', v_key), i_more, londiste.capture_sql_changes(v_old, v_new, v_columns),
            (select string_agg(format('%s.%s', v_old, londiste.capture_field(k.column_name)), ', ' order by k.column_nr) from unnest(v_key) k),
            v_rows,
            case i_level when 'statement' then 'order by n.londiste_nr'
                         when 'single' then 'where not exists (select from londiste_new offset 1) offset 0'
                         else 'offset 0' end,
            '');
    end if;

    -- An update event with the whole row does not have the old key, so a changed key becomes a delete and an insert.
    return format(
'select e.ev_type, e.ev_data%s
%s (
    select 1 as part, %s where %s and (%s)
    union all
    select 2, %s where not (%s)
    union all
    select 3, %s where not (%s)
) e
%s',
        i_more, case i_level when 'row' then 'from' else v_rows || E'\ncross join lateral' end,
        londiste.capture_event(i_capture, 'u', v_columns, v_key, v_new),
        londiste.capture_same_key(v_old, v_new, v_key), v_changed,
        londiste.capture_event(i_capture, 'd', v_columns, v_key, v_old), londiste.capture_same_key(v_old, v_new, v_key),
        londiste.capture_event(i_capture, 'i', v_columns, v_key, v_new), londiste.capture_same_key(v_old, v_new, v_key),
        case i_level when 'statement' then 'order by n.londiste_nr, e.part'
                     when 'single' then 'where not exists (select from londiste_new offset 1) order by e.part'
                     else 'order by e.part' end);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
