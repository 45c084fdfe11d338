create or replace function londiste.capture_check_key(i_table oid, i_key_columns text[]) returns void
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_check_key(2)
--     Raises an error unless the rows of a table can be told apart: by i_key_columns, or when that is null, by a key of the
--     table.
-- Parameters: i_key_columns - as in londiste.capture
-- Raises: invalid_table_definition, undefined_column; message, detail and hint as londiste.capture_key_fault gives them
-- ----------------------------------------------------------------------
declare
    v_fault record;
begin
    if i_key_columns is null then
        if londiste.capture_key(i_table) is not null then
            return;
        end if;
        -- A key whose only fault is that it is deferrable has its own hint.
        select f.* into v_fault
        from londiste.capture_unique_columns(i_table) u
        cross join lateral londiste.capture_key_fault(i_table, u.column_names) f
        where not u.is_immediate and f.message like '%is deferrable'
        order by u.is_primary desc, u.index_oid
        limit 1;
        raise exception using
            errcode = 'invalid_table_definition',
            message = 'need key column',
            detail = coalesce(v_fault.detail,
                              format('Table %s has no primary key, and no unique index that is valid, not partial, not deferrable and '
                                     'over columns that are all not null.', i_table::regclass)),
            hint = coalesce(v_fault.hint,
                            format('alter table %s add primary key (...); or name the columns that identify a row (--key).',
                                   i_table::regclass));
    end if;

    select * into v_fault from londiste.capture_key_fault(i_table, i_key_columns);
    if v_fault.code is not null then
        raise exception using
            errcode = v_fault.code,
            message = v_fault.message,
            detail = v_fault.detail,
            hint = v_fault.hint;
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
