//! What the catalog says of a schema: all that a writer has to know to make statements for its tables.

use std::collections::HashMap;

use crate::support::{Database, Session};

/// A type that columns have.
#[derive(Clone, Debug)]
pub enum Type {
    /// A base type, by its name.
    Base(String),
    /// The labels.
    Enum(Vec<String>),
    /// Texts that the domain takes.
    Domain(Vec<String>),
    /// The types of the attributes, with their length modifiers.
    Composite(Vec<(u32, i32)>),
    Array(u32),
    /// The type of the bounds.
    Range(u32),
    /// The range type.
    Multirange(u32),
}

/// A column that statements may write.
#[derive(Clone, Debug)]
pub struct Column {
    /// As SQL has it: quoted where needed.
    pub name: String,
    pub type_id: u32,
    pub modifier: i32,
    /// The type's name with its schema and length, for casts.
    pub type_name: String,
    pub has_default: bool,
    pub is_nullable: bool,
    /// `generated always as identity`: a value needs `overriding system value`, and an update can only set the default.
    pub is_always: bool,
}

/// A foreign key.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub parent: String,
    pub parent_columns: Vec<String>,
}

/// A table, a partitioned table's root, or a view that the server can write to.
#[derive(Clone, Debug)]
pub struct Table {
    /// With its schema, as SQL has it.
    pub name: String,
    pub kind: Kind,
    pub columns: Vec<Column>,
    /// The columns of a key that can be the arbiter of ON CONFLICT; empty without one.
    pub key: Vec<String>,
    pub foreign_keys: Vec<ForeignKey>,
    pub has_rules: bool,
    /// Whether a unique or exclusion constraint is checked late: it cannot be an arbiter of ON CONFLICT.
    pub has_deferrable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// A partition that has rows of its own.
    Partition,
    Partitioned,
    View,
}

/// The catalog of one database.
#[derive(Debug)]
pub struct Catalog {
    pub major: u32,
    pub tables: Vec<Table>,
    /// Roles that are no superusers, to write as.
    pub roles: Vec<String>,
    pub types: HashMap<u32, Type>,
}

/// The schemas of the user.
pub const SCHEMAS: &str =
    "n.nspname !~ '^pg_' and n.nspname not in ('pgq', 'londiste', 'pgq_ext', 'information_schema', 'extensions')";

impl Catalog {
    /// Reads the catalog. For each domain, texts are tried until the server has taken some.
    #[track_caller]
    pub fn read(database: &Database) -> Catalog {
        let session = database.session();
        // Names with their schemas, whatever the database's path is.
        session.sql("set search_path = pg_catalog");
        let mut catalog = Catalog {
            major: database.major(),
            tables: tables(&session, database.major()),
            roles: session.column("select rolname from pg_roles where not rolsuper and rolname !~ '^pg_' order by 1"),
            types: HashMap::new(),
        };
        catalog.types = types(&session, &catalog);
        catalog.find_domain_values(&session);
        catalog
    }

    /// A domain may rest on another one: those that are made first come first.
    #[track_caller]
    fn find_domain_values(&mut self, session: &Session) {
        let domains = session.rows(&format!(
            "select t.oid, t.typbasetype, t.typtypmod, format_type(t.oid, null), format_type(t.typbasetype, t.typtypmod)
             from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.typtype = 'd' and {SCHEMAS} order by t.oid"
        ));
        for row in domains {
            let [id, base, modifier, name, base_name] = row.as_slice() else { panic!("{row:?}") };
            let (base, modifier) = (base.parse().unwrap(), modifier.parse().unwrap());
            let candidates = super::values::candidates(&self.types, base, modifier);
            let takes = |text: &String| {
                let literal = quote(text);
                session.try_rows(&format!("select {literal}::{base_name}::{name}")).is_ok()
            };
            let taken: Vec<String> = candidates.into_iter().filter(takes).take(40).collect();
            assert!(!taken.is_empty(), "no value found for domain {name}");
            self.types.insert(id.parse().unwrap(), Type::Domain(taken));
        }
    }
}

/// A text as a literal of SQL.
pub fn quote(text: &str) -> String {
    let text = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", text.replace('\\', "\\\\")) } else { format!("'{text}'") }
}

fn list(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split('\u{1}').map(str::to_owned).collect() }
}

/// The names of columns by their numbers, as one text.
fn names(relation: &str, numbers: &str) -> String {
    format!(
        "(select string_agg(quote_ident(a.attname), chr(1) order by u.place) from unnest({numbers}) with ordinality u (number, place)
          join pg_attribute a on a.attrelid = {relation} and a.attnum = u.number)"
    )
}

fn tables(session: &Session, major: u32) -> Vec<Table> {
    let rows = session.rows(&format!(
        "select c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, c.relhasrules,
                coalesce({key}, ''), c.relispartition,
                exists (select from pg_index d where d.indrelid = c.oid and not d.indimmediate)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
              left join lateral (
                select i.indkey::int2[] as indkey from pg_index i where i.indrelid = c.oid and i.indisunique and i.indimmediate
                   and i.indpred is null and i.indexprs is null and not {exclusion}
                   and (i.indisprimary or not exists (select from pg_index p where p.indrelid = c.oid and p.indisprimary))
                order by i.indisprimary desc, i.indexrelid limit 1) i on true
         where {SCHEMAS} and (c.relkind = 'r' or c.relkind = 'p' and not c.relispartition
               or c.relkind = 'v' and pg_relation_is_updatable(c.oid, true) & 4 = 4)
           and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
         order by c.oid",
        key = names("c.oid", "i.indkey"),
        exclusion = "(i.indisexclusion or exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype = 'x'))"
    ));
    let mut columns = columns(session, major);
    let mut foreign_keys = foreign_keys(session);
    rows.into_iter()
        .map(|row| Table {
            kind: match row[2].as_str() {
                "p" => Kind::Partitioned,
                "v" => Kind::View,
                _ if row[5] == "t" => Kind::Partition,
                _ => Kind::Plain,
            },
            has_rules: row[3] == "t",
            has_deferrable: row[6] == "t",
            key: list(&row[4]),
            columns: columns.remove(&row[0]).unwrap_or_default(),
            foreign_keys: foreign_keys.remove(&row[0]).unwrap_or_default(),
            name: row[1].clone(),
        })
        .collect()
}

fn columns(session: &Session, major: u32) -> HashMap<String, Vec<Column>> {
    let generated = if major >= 12 { "and a.attgenerated = ''" } else { "" };
    let rows = session.rows(&format!(
        "select a.attrelid, quote_ident(a.attname), a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod),
                a.atthasdef or a.attidentity <> '' or t.typdefault is not null, not a.attnotnull and not t.typnotnull, a.attidentity = 'a'
         from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
              join pg_type t on t.oid = a.atttypid
         where {SCHEMAS} and a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v') {generated}
         order by a.attrelid, a.attnum"
    ));
    let mut columns: HashMap<String, Vec<Column>> = HashMap::new();
    for row in rows {
        let column = Column {
            name: row[1].clone(),
            type_id: row[2].parse().unwrap(),
            modifier: row[3].parse().unwrap(),
            type_name: row[4].clone(),
            has_default: row[5] == "t",
            is_nullable: row[6] == "t",
            is_always: row[7] == "t",
        };
        columns.entry(row[0].clone()).or_default().push(column);
    }
    columns
}

fn foreign_keys(session: &Session) -> HashMap<String, Vec<ForeignKey>> {
    let rows = session.rows(&format!(
        "select k.conrelid, {}, k.confrelid::regclass, {}
         from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
         where k.contype = 'f' and {SCHEMAS} order by cardinality(k.conkey) desc, k.oid",
        names("k.conrelid", "k.conkey"),
        names("k.confrelid", "k.confkey")
    ));
    let mut keys: HashMap<String, Vec<ForeignKey>> = HashMap::new();
    for row in rows {
        let key = ForeignKey { columns: list(&row[1]), parent: row[2].clone(), parent_columns: list(&row[3]) };
        keys.entry(row[0].clone()).or_default().push(key);
    }
    keys
}

/// All types that a column may have, but domains.
fn types(session: &Session, catalog: &Catalog) -> HashMap<u32, Type> {
    let multirange = if catalog.major >= 14 { "r2.rngtypid" } else { "null" };
    let multirange_join = if catalog.major >= 14 { "left join pg_range r2 on r2.rngmultitypid = t.oid" } else { "" };
    let rows = session.rows(&format!(
        "select t.oid, t.typtype, t.typname, t.typcategory = 'A' and t.typelem <> 0, t.typelem, coalesce(r.rngsubtype, 0),
                coalesce({multirange}, 0),
                coalesce((select string_agg(enumlabel, chr(1) order by enumsortorder) from pg_enum where enumtypid = t.oid), ''),
                coalesce((select string_agg(atttypid || ' ' || atttypmod, chr(1) order by attnum) from pg_attribute
                          where attrelid = t.typrelid and attnum > 0 and not attisdropped), '')
         from pg_type t left join pg_range r on r.rngtypid = t.oid {multirange_join}
         where t.typtype in ('b', 'e', 'c', 'r', 'm')"
    ));
    rows.into_iter()
        .map(|row| {
            let number = |text: &String| text.parse::<u32>().unwrap();
            let attribute = |text: String| {
                let (id, modifier) = text.split_once(' ').unwrap();
                (id.parse().unwrap(), modifier.parse().unwrap())
            };
            let kind = match row[1].as_str() {
                _ if row[3] == "t" => Type::Array(number(&row[4])),
                // A label may be empty.
                "e" => Type::Enum(row[7].split('\u{1}').map(str::to_owned).collect()),
                "c" => Type::Composite(list(&row[8]).into_iter().map(attribute).collect()),
                "r" => Type::Range(number(&row[5])),
                "m" => Type::Multirange(number(&row[6])),
                _ => Type::Base(row[2].clone()),
            };
            (number(&row[0]), kind)
        })
        .collect()
}
