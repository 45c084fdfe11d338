create or replace function londiste.capture_columns(i_relation oid)
returns setof londiste.capture_column
as $$
-- ----------------------------------------------------------------------
-- Function: londiste.capture_columns(1)
--     Returns the columns of a table whose values go into events, in table order: the live columns, with generated columns that
--     are stored, for the subscriber may have a plain column there. A virtual column has no value in a trigger.
-- Returns: all but fragment_name, which londiste.capture_shape adds
-- ----------------------------------------------------------------------
declare
    v_names text[];
    v_types oid[];
begin
    select d.names, d.types into v_names, v_types from londiste.capture_declared(i_relation) d;

    return query
    with recursive live as (
        select u.nr::int as nr, u.name, u.type, not coalesce(a.attnotnull, false) as is_nullable,
               (a.atttypmod > 0) as has_length, coalesce(to_jsonb(l) ->> 'collisdeterministic', 'true')::boolean as bytewise
        from unnest(v_names, v_types) with ordinality u(name, type, nr)
        left join pg_attribute a on a.attrelid = i_relation and a.attname = u.name and not a.attisdropped
        left join pg_collation l on l.oid = a.attcollation
        where coalesce(to_jsonb(a) ->> 'attgenerated', '') <> 'v'
    ), base as (
        select l.nr, l.type, t.typtype, t.typbasetype
        from live l
        join pg_type t on t.oid = l.type
        union all
        select b.nr, b.typbasetype, t.typtype, t.typbasetype
        from base b
        join pg_type t on t.oid = b.typbasetype
        where b.typtype = 'd'
    )
    select l.nr, l.name::text, b.type, l.is_nullable,
           -- A domain over an enum has no operator =.
           b.typtype = 'e' and l.type = b.type
               or b.type in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'bool'::regtype, 'date'::regtype,
                             'time'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'uuid'::regtype, 'bytea'::regtype,
                             'money'::regtype)
               or (b.type in ('text'::regtype, 'varchar'::regtype) and l.bytewise)
               or (b.type = 'bpchar'::regtype and l.bytewise and l.has_length and l.type = b.type),
           null::text
    from live l
    join base b on b.nr = l.nr and b.typtype <> 'd'
    order by l.nr;
end;
$$ language plpgsql stable rows 20 set search_path = pg_catalog, pg_temp;
