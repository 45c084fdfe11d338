create or replace function londiste.split_fqname(i_fqname text, out schema_name text, out object_name text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.split_fqname(1)
--     Splits the name of a table or sequence, unquoted as the tools write it, at the first dot. A name without a dot is in
--     schema public.
-- Parameters: i_fqname - name, e.g. "orders", "shop.orders", "shop.Mixed Case"
-- Returns: schema and name, unquoted
-- ----------------------------------------------------------------------
select case when pg_catalog.strpos(i_fqname, '.') > 0 then pg_catalog.split_part(i_fqname, '.', 1) else 'public' end,
       case when pg_catalog.strpos(i_fqname, '.') > 0 then pg_catalog.substr(i_fqname, pg_catalog.strpos(i_fqname, '.') + 1)
            else i_fqname end;
$$ language sql strict immutable;
