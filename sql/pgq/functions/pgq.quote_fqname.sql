create or replace function pgq.quote_fqname(i_name text)
returns text as $$
-- ----------------------------------------------------------------------
-- Function: pgq.quote_fqname(1)
--     Quotes a schema-qualified name for use in SQL. The first dot ends the schema's name.
-- Parameters:
--     i_name - schema.name, or a name in schema public
-- Returns:
--     schema.name, each part quoted if it needs quotes
-- ----------------------------------------------------------------------
declare
    v_dot       integer := position('.' in i_name);
begin
    if v_dot = 0 then
        return format('public.%I', i_name);
    end if;
    return format('%I.%I', substr(i_name, 1, v_dot - 1), substr(i_name, v_dot + 1));
end;
$$ language plpgsql strict immutable set search_path = pg_catalog, pg_temp;
