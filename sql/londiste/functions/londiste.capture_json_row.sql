create or replace function londiste.capture_json_row(i_row text, i_columns londiste.capture_column[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_json_row(2)
--     Returns the expression for a row in format json: one object with JSON's own integers, booleans and null, timestamps as
--     strings with a T between date and time, and every other value as a string of its text.
-- Parameters: i_row - prefix of the row's columns, e.g. "n"
-- ----------------------------------------------------------------------
begin
    return (
        select londiste.capture_format(
            array_agg(case when c.nr = 1 then '{' else ',' end || replace(to_json(c.column_name)::text, '%', '%%') || ':%s'
                      || case when c.nr = cardinality(i_columns) then '}' else '' end order by c.nr),
            array_agg(format('case when %s then %L else %s end', londiste.capture_is_null(i_row, i_columns[c.nr]), 'null',
                             format(case
                                        when c.column_type in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'bool'::regtype)
                                        then '%s.%s::pg_catalog.text'
                                        when c.column_type in ('timestamp'::regtype, 'timestamptz'::regtype)
                                        then 'pg_catalog.to_json(%s.%s)::pg_catalog.text'
                                        else 'pg_catalog.to_json(pg_catalog.concat(%s.%s))::pg_catalog.text'
                                    end, i_row, londiste.capture_field(c.column_name))) order by c.nr))
        from unnest(i_columns) with ordinality c(column_nr, column_name, column_type, is_nullable, is_fixed, fragment_name, nr));
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
