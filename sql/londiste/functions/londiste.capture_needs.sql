create or replace function londiste.capture_needs(i_columns londiste.capture_column[]) returns text[]
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_needs(1)
--     Returns the settings of londiste.capture_pins() that the text of some columns' values depends on. A type that this function
--     does not list depends on all of them.
-- ----------------------------------------------------------------------
begin
    return array(
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
                       else array(select s.name from londiste.capture_pins() s)
                   end as names
            from types t
            join pg_type p on p.oid = t.oid
        )
        select distinct u.name
        from needs n
        cross join lateral unnest(n.names) u(name)
        order by u.name);
end;
$$ language plpgsql stable set search_path = pg_catalog, pg_temp;
