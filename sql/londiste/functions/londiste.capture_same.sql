create or replace function londiste.capture_same(i_old text, i_new text, i_column londiste.capture_column) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_same(3)
--     The condition under which an update has not changed a column. It is never null.
--
--     "=" alone would lose changes: for many types values that differ are equal (numeric 1.5 and 1.50, jsonb, -0 and 0, '1 month'
--     and '30 days', text in a case-insensitive collation). So it serves only those types whose equal values are the same. All
--     others are compared by their stored form; where that differs although the value does not, there is an event too many.
-- Parameters:
--     i_old, i_new - prefixes of the old and new row's columns, e.g. "o"
-- ----------------------------------------------------------------------
begin
    return case
        when not i_column.is_fixed
        -- The casts keep the server from taking this for a comparison of the columns one by one.
        then format('row(%1$s.%3$s)::pg_catalog.record operator(pg_catalog.*=) row(%2$s.%3$s)::pg_catalog.record', i_old, i_new, londiste.capture_field(i_column.column_name))
        when i_column.is_nullable
        then format('coalesce(%1$s.%3$s operator(pg_catalog.=) %2$s.%3$s, %1$s.%3$s is null and %2$s.%3$s is null)',
                    i_old, i_new, londiste.capture_field(i_column.column_name))
        else format('%1$s.%3$s operator(pg_catalog.=) %2$s.%3$s', i_old, i_new, londiste.capture_field(i_column.column_name))
    end;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
