create or replace function londiste.split_fqname(i_fqname text, out schema_name text, out object_name text)
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.split_fqname(1)
--     The parts of a table or sequence name as the tools write it: unquoted, the first dot splits, no dot means schema public.
-- Parameters: i_fqname - name, e.g. "orders", "shop.orders", "shop.Mixed Case"
-- Returns: both parts, unquoted
-- ----------------------------------------------------------------------
select case when pg_catalog.strpos(i_fqname, '.') > 0 then pg_catalog.split_part(i_fqname, '.', 1) else 'public' end,
       case when pg_catalog.strpos(i_fqname, '.') > 0 then pg_catalog.substr(i_fqname, pg_catalog.strpos(i_fqname, '.') + 1)
            else i_fqname end;
$$ language sql strict immutable;
