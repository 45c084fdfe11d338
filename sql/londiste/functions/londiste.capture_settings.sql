create or replace function londiste.capture_settings(i_columns londiste.capture_column[], i_suffix text) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_settings(2)
--     Returns the set clauses of a capture function: the text of values must not depend on the settings of the writer's
--     session. Each clause costs up to a tenth of the capture of a row, on every call. So there are clauses only for types whose
--     text depends on search_path, and for TRUNCATE; else the function itself looks at the settings that it needs
--     (londiste.capture_pinning).
--
--     A security definer function without a clause for search_path is normally a security hole. A generated function needs no
--     clause, because it looks nothing up in search_path: every function, operator, type and table in it is written with its
--     schema.
-- Parameters: i_suffix - as londiste.capture_objects returns it
-- ----------------------------------------------------------------------
declare
    v_needs text[] := londiste.capture_needs(i_columns);
begin
    if 'search_path' <> all (v_needs) and i_suffix not in ('t', 'm') then
        return '';
    end if;
    return (
        select coalesce(string_agg(case s.name when 'search_path' then ' set search_path = pg_catalog, pg_temp'
                                               else format(' set %I = %L', s.name, s.value) end, ''), '')
        from londiste.capture_pins() s
        where s.name = any (v_needs));
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
