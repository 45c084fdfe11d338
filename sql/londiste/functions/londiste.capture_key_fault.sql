create or replace function londiste.capture_key_fault(
    i_table oid, i_key_columns text[],
    out code text, out message text, out detail text, out hint text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_key_fault(2)
--     Returns why columns cannot serve as the key by which events name a row.
-- Parameters: i_key_columns - names of the columns
-- Returns: name of the SQLSTATE, message, detail and hint of an error; all null when the columns can serve
-- ----------------------------------------------------------------------
declare
    v_columns text;
    v_constraint record;
begin
    select string_agg(quote_ident(k.name), ', ')
    into v_columns
    from unnest(i_key_columns) k(name)
    where k.name not in (select c.column_name from londiste.capture_columns(i_table) c);
    if v_columns is not null or i_key_columns = '{}' then
        code := 'undefined_column';
        message := 'key column does not exist';
        detail := format('Table %s has no column %s that could be part of a key.', i_table::regclass, coalesce(v_columns, ''));
        hint := 'A key has at least one column, and none of them is generated.';
        return;
    end if;

    select string_agg(format('alter column %I set not null', c.column_name), ', ')
    into v_columns
    from londiste.capture_columns(i_table) c
    where c.column_name = any (i_key_columns) and c.is_nullable;
    if v_columns is not null then
        code := 'invalid_table_definition';
        message := format('a key column of table %s may be null', i_table::regclass);
        detail := 'Rows that have null there cannot be told apart, unique or not.';
        hint := format('alter table %s %s', i_table::regclass, v_columns);
        return;
    end if;

    if exists (select 1
               from londiste.capture_unique_columns(i_table) u
               where u.is_immediate and u.is_certain and u.column_names <@ i_key_columns) then
        return;
    end if;
    -- Without any unique index over these columns they are accepted: whoever names them knows that they identify a row.
    select u.index_oid, u.column_names, u.is_primary into v_constraint
    from londiste.capture_unique_columns(i_table) u
    where u.column_names <@ i_key_columns
    order by u.index_oid
    limit 1;
    if found then
        code := 'invalid_table_definition';
        message := format('the key of table %s is deferrable', i_table::regclass);
        detail := format('Constraint %s is checked at the end of a statement or transaction. Until then two rows may have the same key, '
                         'and the event of one would change both on a subscriber.',
                         (select quote_ident(c.relname) from pg_class c where c.oid = v_constraint.index_oid));
        hint := format('alter table %s drop constraint %s, add %s (%s)', i_table::regclass,
                       (select quote_ident(c.relname) from pg_class c where c.oid = v_constraint.index_oid),
                       case when v_constraint.is_primary then 'primary key' else 'unique' end,
                       (select string_agg(quote_ident(n), ', ') from unnest(v_constraint.column_names) n));
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
