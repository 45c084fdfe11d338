create or replace function londiste.capture_fragment_names(i_columns londiste.capture_column[])
returns table (nr bigint, quoted text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_fragment_names(1)
--     Returns column names, quoted for an event of format sql. Every keyword is quoted, also an unreserved one, as the C
--     triggers of PgQ 2.1 do: the subscriber's PostgreSQL may reserve the word. One call takes all columns, because listing the
--     keywords takes long.
-- Returns: position in i_columns, and the name
-- ----------------------------------------------------------------------
begin
    return query
    select c.nr, case
                     when c.column_name ~ '^[a-z_][a-z0-9_]*$' and k.word is null then c.column_name
                     else '"' || replace(c.column_name, '"', '""') || '"'
                 end
    from unnest(i_columns) with ordinality c(column_nr, column_name, column_type, is_nullable, is_fixed, nr)
    left join pg_get_keywords() k on k.word = c.column_name;
end;
$$ language plpgsql strict stable set search_path = pg_catalog, pg_temp;
