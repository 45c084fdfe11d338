create or replace function londiste.capture_urlenc_row(i_row text, i_columns londiste.capture_column[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_urlenc_row(2)
--     Returns the expression for a row in format urlenc: a=1&b=two+words&c, where c is null.
-- Parameters: i_row - prefix of the row's columns, e.g. "n"
-- ----------------------------------------------------------------------
begin
    return (
        select londiste.capture_format(
            array_agg(case when c.nr = 1 then '' else '&' end || replace(londiste.urlencode(c.column_name), '%', '%%') || '%s' order by c.nr),
            array_agg(format('case when %s then %L else pg_catalog.concat(%L::pg_catalog.text, londiste.urlencode(pg_catalog.concat(%s.%s))) end',
                             londiste.capture_is_null(i_row, i_columns[c.nr]), '', '=', i_row, londiste.capture_field(c.column_name)) order by c.nr))
        from unnest(i_columns) with ordinality c(column_nr, column_name, column_type, is_nullable, is_fixed, fragment_name, nr));
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
