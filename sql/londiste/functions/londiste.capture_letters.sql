create or replace function londiste.capture_letters(
    i_table_name text, i_col_types text,
    out key_columns text[], out ignored_columns text[])
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_letters(2)
--     Translates column letters into column names when a table is added: letters go by position, but names stay right when
--     columns are added or dropped.
-- Parameters: as for londiste.provider_add_table(3)
-- Raises: invalid_parameter_value when no letter is k
-- ----------------------------------------------------------------------
begin
    select array_agg(c.attname::text order by c.attnum) filter (where c.letter = 'k'),
           coalesce(array_agg(c.attname::text order by c.attnum) filter (where c.letter not in ('k', 'v')), '{}')
    into key_columns, ignored_columns
    from (select a.attname, a.attnum, substr(i_col_types, row_number() over (order by a.attnum)::int, 1) as letter
          from pg_attribute a
          where a.attrelid = londiste.find_table_oid(i_table_name)
            and a.attnum > 0
            and not a.attisdropped) c;

    if key_columns is null and londiste.find_table_oid(i_table_name) is not null then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'need key column',
            detail = format('The column letters "%s" for table %s have no k.', i_col_types, i_table_name);
    end if;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
