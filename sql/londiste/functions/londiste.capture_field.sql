create or replace function londiste.capture_field(i_name text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_field(1)
--     Quotes a column name for use in a capture function, always: PL/pgSQL does not take words of its own, like "by" or "loop",
--     for fields of a row, and quote_ident() leaves them bare.
-- ----------------------------------------------------------------------
begin
    return '"' || replace(i_name, '"', '""') || '"';
end;
$$ language plpgsql strict immutable set search_path = pg_catalog, pg_temp;
