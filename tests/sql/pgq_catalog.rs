//! The interface of schema `pgq` as a whole: every function, table, column, type and sequence that programs may use, and
//! who may use it. `pgq_catalog.txt` is the list; a change of it is a change of the interface.

use pretty_assertions::assert_eq;

use super::{installed, with_queue};

/// The functions but for the internal ones: `name(arguments) -> result [properties] roles`.
const FUNCTIONS: &str = "
    select format('%s(%s) -> %s [%s] %s', p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
                  concat_ws(' ', case when p.prosecdef then 'definer' end, case when p.proisstrict then 'strict' end),
                  (select string_agg(r.name, ' ' order by r.nr)
                   from unnest(array['public', 'pgq_reader', 'pgq_writer', 'pgq_admin']) with ordinality as r (name, nr)
                   where has_function_privilege(r.name, p.oid, 'execute')))
    from pg_proc p
    where p.pronamespace = 'pgq'::regnamespace and p.proname !~ '^_'
    order by p.proname::text collate \"C\", pg_get_function_identity_arguments(p.oid) collate \"C\"";

/// Tables and types with their columns, sequences: `kind name: column type default, ...`, and who may do what.
const RELATIONS: &str = "
    select format('%s %s: %s%s',
                  case c.relkind when 'r' then 'table' when 'c' then 'type' else 'sequence' end, c.relname,
                  case when c.relkind <> 'S' then (
                      select string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
                                                  case when a.attnotnull then 'not null' end,
                                                  'default ' || pg_get_expr(d.adbin, d.adrelid)), ', ' order by a.attnum)
                      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) end,
                  (select string_agg(format(' [%s: %s]', r.name, x.privileges), '' order by r.nr)
                   from unnest(array['public', 'pgq_reader', 'pgq_writer', 'pgq_admin']) with ordinality as r (name, nr),
                        lateral (select string_agg(p.name, ' ' order by p.nr) as privileges
                                 from unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'usage'])
                                          with ordinality as p (name, nr)
                                 where case when c.relkind = 'S' then p.name in ('select', 'update', 'usage')
                                                and has_sequence_privilege(r.name, c.oid, p.name)
                                            else p.name <> 'usage' and has_table_privilege(r.name, c.oid, p.name) end) x
                   where c.relkind <> 'c' and x.privileges is not null))
    from pg_class c
    where c.relnamespace = 'pgq'::regnamespace and c.relkind in ('r', 'c', 'S')
    order by c.relkind, c.relname::text collate \"C\"";

const CONSTRAINTS: &str = "
    select format('%s: %s', c.conrelid::regclass, pg_get_constraintdef(c.oid))
    from pg_constraint c
    where c.connamespace = 'pgq'::regnamespace and c.contype <> 'n'
    order by 1";

const INDEXES: &str = "
    select pg_get_indexdef(i.indexrelid)
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relnamespace = 'pgq'::regnamespace and not i.indisunique
    order by 1";

#[test]
fn schema_is_what_the_list_says() {
    let (_database, session) = with_queue();
    session.sql("set search_path = pg_catalog");
    let mut lines = Vec::new();
    for (title, query) in
        [("functions", FUNCTIONS), ("relations", RELATIONS), ("constraints", CONSTRAINTS), ("indexes", INDEXES)]
    {
        lines.push(format!("# {title}"));
        lines.extend(session.column(query));
    }
    let actual = lines.join("\n") + "\n";
    if std::env::var_os("UPDATE_CATALOG").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sql/pgq_catalog.txt"), &actual).unwrap();
    }
    assert_eq!(actual, include_str!("pgq_catalog.txt"));
}

#[test]
fn everybody_may_look_into_the_schema() {
    let (_database, session) = installed();
    assert_eq!(session.value("select has_schema_privilege('public', 'pgq', 'usage')"), "t");
    assert_eq!(session.value("select has_schema_privilege('public', 'pgq', 'create')"), "f");
}
