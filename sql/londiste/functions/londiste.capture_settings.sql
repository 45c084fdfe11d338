create or replace function londiste.capture_settings(i_columns londiste.capture_column[]) returns text
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_settings(1)
--     Returns the set clauses of a capture function: the text of values must not depend on the settings of the writer's
--     session. Each clause costs up to a tenth of the capture of a row, on every call, so a function has only the clauses that
--     the types of its columns depend on. A type that this function does not list gets all clauses.
--
--     That includes search_path. A security definer function without that clause is normally a security hole. A generated
--     function needs no clause, because it looks nothing up in search_path: every function, operator, type and table in it is
--     written with its schema.
-- ----------------------------------------------------------------------
begin
    return (
        with types as (
            select coalesce(nullif(t.typelem, 0), t.oid) as oid
            from unnest(i_columns) c
            join pg_type t on t.oid = c.column_type
        ), needs as (
            select case
                       when t.oid in ('date'::regtype, 'timestamp'::regtype) then array['DateStyle']
                       when t.oid = 'timestamptz'::regtype then array['DateStyle', 'TimeZone']
                       when t.oid = 'interval'::regtype then array['IntervalStyle']
                       when t.oid in ('float4'::regtype, 'float8'::regtype, 'point'::regtype) then array['extra_float_digits']
                       when t.oid = 'bytea'::regtype then array['bytea_output']
                       when t.oid = 'money'::regtype then array['lc_monetary']
                       when t.oid in ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype,
                                      'numeric'::regtype, 'text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'char'::regtype,
                                      '"char"'::regtype, 'name'::regtype, 'uuid'::regtype, 'json'::regtype, 'jsonb'::regtype,
                                      'time'::regtype, 'timetz'::regtype, 'inet'::regtype, 'cidr'::regtype, 'macaddr'::regtype,
                                      'macaddr8'::regtype, 'bit'::regtype, 'varbit'::regtype, 'tsvector'::regtype,
                                      'tsquery'::regtype, 'xml'::regtype)
                            or p.typtype = 'e'
                       then '{}'
                       else array['search_path', 'DateStyle', 'TimeZone', 'IntervalStyle', 'extra_float_digits', 'bytea_output',
                                  'lc_monetary', 'quote_all_identifiers']
                   end as names
            from types t
            join pg_type p on p.oid = t.oid
        )
        select coalesce(string_agg(distinct case s.name when 'search_path' then ' set search_path = pg_catalog, pg_temp'
                                                   else format(' set %I = %L', s.name, s.value) end, ''), '')
        from needs n
        cross join lateral unnest(n.names) u(name)
        join londiste.capture_pins() s on s.name = u.name);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
