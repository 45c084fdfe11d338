create or replace function londiste.capture_field(i_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_field(1)
--     Quotes a column name for use in a capture function, whether it needs quotes or not: quote_ident() does not quote words of
--     PL/pgSQL such as "by" or "loop", which PL/pgSQL does not accept as fields of a row.
-- ----------------------------------------------------------------------
begin
    return '"' || replace(i_name, '"', '""') || '"';
end;
$$ language plpgsql strict immutable set search_path = pg_catalog, pg_temp;
