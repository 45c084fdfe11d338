create or replace function londiste.capture_check_key(i_table oid, i_key_columns text[]) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_check_key(2)
--     Raises unless the rows of a table can be told apart: by the columns asked for, or by a key of the table's own.
-- ----------------------------------------------------------------------
declare
    v_missing text;
begin
    if i_key_columns is null then
        if londiste.capture_key(i_table) is null then
            raise exception using
                errcode = 'invalid_table_definition',
                message = 'need key column',
                detail = format('Table %s has no primary key, and no unique index that is valid, not partial, not deferrable and '
                                'over columns that are all not null.', i_table::regclass),
                hint = format('alter table %s add primary key (...); or name the columns that identify a row (--key).',
                              i_table::regclass);
        end if;
        return;
    end if;

    select string_agg(quote_ident(k.name), ', ')
    into v_missing
    from unnest(i_key_columns) k(name)
    where k.name not in (select c.column_name from londiste.capture_columns(i_table) c);
    if v_missing is not null or i_key_columns = '{}' then
        raise exception using
            errcode = 'undefined_column',
            message = 'key column does not exist',
            detail = format('Table %s has no column %s that could be part of a key.', i_table::regclass, coalesce(v_missing, '')),
            hint = 'A key has at least one column, and none of them is generated.';
    end if;

    select string_agg(format('alter column %I set not null', c.column_name), ', ')
    into v_missing
    from londiste.capture_columns(i_table) c
    where c.column_name = any (i_key_columns) and c.is_nullable;
    if v_missing is not null then
        raise exception using
            errcode = 'invalid_table_definition',
            message = format('a key column of table %s may be null', i_table::regclass),
            hint = format('alter table %s %s', i_table::regclass, v_missing);
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
