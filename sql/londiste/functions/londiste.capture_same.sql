create or replace function londiste.capture_same(i_old text, i_new text, i_column londiste.capture_column) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_same(3)
--     Returns the condition that is true when an update has not changed a column. The condition is never null.
--
--     "=" alone would lose changes, because for many types values that differ are equal (numeric 1.5 and 1.50, jsonb, -0 and 0,
--     '1 month' and '30 days', text in a case-insensitive collation). So "=" is used only for types whose equal values are the
--     same. Values of all other types are compared by their stored form; two stored forms of the same value make a superfluous
--     event.
-- Parameters:
--     i_old, i_new - prefixes of the old and new row's columns, e.g. "o"
-- ----------------------------------------------------------------------
begin
    return case
        when not i_column.is_fixed
        -- Without the casts the server would apply the operator to the columns one by one.
        then format('row(%1$s.%3$s)::pg_catalog.record operator(pg_catalog.*=) row(%2$s.%3$s)::pg_catalog.record', i_old, i_new, londiste.capture_field(i_column.column_name))
        when i_column.is_nullable
        then format('coalesce(%1$s.%3$s operator(pg_catalog.=) %2$s.%3$s, %1$s.%3$s is null and %2$s.%3$s is null)',
                    i_old, i_new, londiste.capture_field(i_column.column_name))
        else format('%1$s.%3$s operator(pg_catalog.=) %2$s.%3$s', i_old, i_new, londiste.capture_field(i_column.column_name))
    end;
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
