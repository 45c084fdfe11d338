//! Every type of the server with values that are hard to carry, and columns of types made from each of them.

use super::{Database, Session};

/// The types of [`columns`] that are not the server's own.
pub const SCHEMA: &str = r"
    create extension citext;
    create extension hstore;
    create type mood as enum ('sad', 'it''s \ ok', '');
    create type inner_pair as (a int, b text, t timestamptz);
    create type pair as (x inner_pair, f float8[], d interval);
    create type span as range (subtype = float8);
    create domain code as text check (value <> 'never');
    create domain codes as text[];
";

/// Types that every server version has, with SQL literals of values that are hard to carry.
const TYPES: &[(&str, &[&str])] = &[
    ("bool", &["true", "false"]),
    ("int2", &["-32768", "32767"]),
    ("int4", &["-2147483648", "0"]),
    ("int8", &["-9223372036854775808", "9223372036854775807"]),
    ("numeric", &["'NaN'", "1.50", "1.500", "-1e300", "0.0000000000000000000000000000000000000001", "1e100000"]),
    ("numeric(20,4)", &["1.5", "-0"]),
    ("float4", &["'NaN'", "'Infinity'", "'-0'", "1e-45", "3.4028235e38", "0.1"]),
    ("float8", &["'NaN'", "'-Infinity'", "'-0'", "5e-324", "1.7976931348623157e308", "0.1", "1.0 / 3"]),
    ("money", &["'-92233720368547758.08'", "12.34::numeric"]),
    (
        "text",
        &[
            "''",
            "'null'",
            "'NULL'",
            r"'\'",
            r"'\\'",
            r"E'\\x41\\n\\u0041\\0'",
            r#"E'\'"\n\r\t\b\f'"#,
            "'%s %L %% $1 ?'",
            "repeat('é😀', 50000)",
            "E'\\x01\\x7f'",
            "'a''b''''c'",
            "'$$ /* -- ; */'",
            "' lead and trail '",
        ],
    ),
    ("varchar(7)", &["'  a  '", "''", r"'\\'"]),
    ("char(5)", &["'a'", "''", "'  b'"]),
    ("\"char\"", &["'x'", "''", "'\\'"]),
    ("name", &["'Na\"me'"]),
    ("bytea", &["''", "'\\x00'", "decode('005c27ff0a', 'hex')", "decode(repeat('00ff5c27', 262144), 'hex')"]),
    ("date", &["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2020-02-03'"]),
    ("time", &["'24:00'", "'00:00:00.000001'"]),
    ("timetz", &["'23:59:59.999999+15:59'", "'00:00-12:30'"]),
    (
        "timestamp",
        &["'infinity'", "'0044-03-15 BC 12:34:56.789'", "'294276-12-31 23:59:59.999999'", "'2020-02-03 04:05'"],
    ),
    (
        "timestamptz",
        &["'-infinity'", "'0044-03-15 12:34:56.789+00 BC'", "'2020-10-25 01:30:00+00'", "'2020-07-08 09:10:11.5+00'"],
    ),
    ("interval", &["'1 mon'", "'30 days'", "'-1 year -2 mons +3 days -04:05:06.000007'", "'178000000 years'", "'0'"]),
    ("uuid", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    ("inet", &["'::ffff:1.2.3.4/128'", "'10.0.0.1/8'"]),
    ("cidr", &["'10/8'", "'2001:db8::/32'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("bit(3)", &["B'101'"]),
    ("varbit", &["B''", "B'10101010101'"]),
    ("json", &["'null'", r#"'{"a" : 1, "a":2, "q":"\"\\\u0041\n"}'"#, "'  [ ]  '"]),
    ("jsonb", &["'null'", r#"'{"a": null, "q": "\"\\ \n", "n": 1.50}'"#, "'\"\"'", "'1e400'"]),
    ("xml", &["'<a b=\"it''s\">&amp;\\</a>'"]),
    ("tsvector", &["$$'it''s':1A '\\':2 ''' $$::text::tsvector", "''"]),
    ("tsquery", &["$$'it''s' & !'b':*AB$$", "''"]),
    ("point", &["'(1e-300,-0)'", "'(NaN,Infinity)'", "'(0.1,0.2)'"]),
    ("line", &["'{0.1,-1,1e300}'"]),
    ("lseg", &["'[(0.1,0),(1,1e-10)]'"]),
    ("box", &["'(0.1,0.2),(0,0)'"]),
    ("path", &["'[(0,0),(0.1,1)]'", "'((0,0),(0.1,1))'"]),
    ("polygon", &["'((0,0),(0.1,1),(1,0))'"]),
    ("circle", &["'<(0.1,0.3),1e-7>'"]),
    ("oid", &["4294967295"]),
    ("regclass", &["'pg_catalog.pg_class'"]),
    ("regtype", &["'timestamptz'"]),
    ("regproc", &["'pg_catalog.now'"]),
    ("regprocedure", &["'pg_catalog.abs(integer)'"]),
    ("regoperator", &["'pg_catalog.+(integer,integer)'"]),
    ("pg_lsn", &["'FFFFFFFF/1'"]),
    ("txid_snapshot", &["'10:20:10,14,15'"]),
    ("tid", &["'(4294967295,1)'"]),
    ("xid", &["'4294967295'"]),
    ("cid", &["'7'"]),
    ("regoper", &["'pg_catalog.|/'"]),
    ("regrole", &["pg_catalog.to_regrole('postgres')"]),
    ("regnamespace", &["'pg_catalog'"]),
    ("regconfig", &["'pg_catalog.simple'"]),
    ("regdictionary", &["'pg_catalog.simple'"]),
    ("refcursor", &["'a cursor'", "''"]),
    ("aclitem", &["'postgres=arwd/postgres'", "'=r*/postgres'"]),
    ("int2vector", &["'1 -2 3'", "''"]),
    ("oidvector", &["'1 4294967295'"]),
    ("int4range", &["'empty'", "'(,5)'"]),
    ("int8range", &["'[1,9223372036854775806)'"]),
    ("numrange", &["'[1.50,NaN]'", "'(,)'"]),
    ("tsrange", &["'[-infinity,\"2020-01-02 03:04\")'"]),
    ("tstzrange", &["'[\"2020-01-02 03:04+00\",infinity]'"]),
    ("daterange", &["'[4713-01-01 BC,2020-02-03)'"]),
    ("span", &["'[0.1,1e300)'"]),
    ("mood", &["'sad'", r"'it''s \ ok'", "''"]),
    ("code", &[r"'\ '''", "''"]),
    ("codes", &["'{a,NULL,\"null\",\"\\\"\"}'"]),
    ("inner_pair", &["row(null, null, null)", "row(1, 'a,\"b''\\)', '2020-07-08 09:10+00')"]),
    ("pair", &["row(row(1, '', null)::inner_pair, array['NaN', 0.1]::float8[], '-1 mon')"]),
    ("citext", &["'MiXed'", r"'\'"]),
    ("hstore", &[r#"'a=>NULL, "b\"\\"=>"it''s"'"#, "''"]),
];

/// Types that came with a version.
const NEWER: &[(u32, &str, &[&str])] = &[
    (12, "jsonpath", &["'$.a[*] ? (@.b > 1.5 && @ like_regex \"\\\\d\")'"]),
    (13, "xid8", &["'18446744073709551615'"]),
    (13, "regcollation", &["'pg_catalog.\"C\"'"]),
    (13, "pg_snapshot", &["'10:20:10,14,15'"]),
    (14, "int4multirange", &["'{}'", "'{[1,3),[5,)}'"]),
    (14, "tstzmultirange", &["'{[\"2020-01-02 03:04+00\",\"2021-02-03 00:00+00\")}'"]),
    (14, "nummultirange", &["'{[1.50,2.5],(3,)}'"]),
    (14, "datemultirange", &["'{[0044-03-15 BC,2020-02-03)}'"]),
    (14, "int8multirange", &["'{[1,9223372036854775806)}'"]),
    (14, "tsmultirange", &["'{[-infinity,\"2020-01-02 03:04\"),[2021-01-01,)}'"]),
];

/// Types that went with a version: the last one that has them.
const OLDER: &[(u32, &str, &[&str])] = &[
    (11, "abstime", &["'2020-02-03 04:05:06+00'", "'infinity'"]),
    (11, "reltime", &["'1 day'"]),
    (11, "tinterval", &["'[\"2020-02-03 04:05:06+00\" \"2021-02-03 04:05:06+00\"]'"]),
];

/// Types of the server that are left out: those without input, of which no column can hold a value, and one of PostgreSQL 10 and 11
/// with one value and without an array type.
const LEFT_OUT: &[&str] = &[
    "smgr",
    "pg_node_tree",
    "pg_ndistinct",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
    "gtsvector",
];

/// Types of extensions, where the server has these.
const CONTRIB: &[(&str, &str, &[&str])] = &[
    ("citext", "citext", &["'MiXed'", r"'\'"]),
    ("hstore", "hstore", &[r#"'a=>NULL, "b\"\\"=>"it''s"'"#, "''"]),
    ("ltree", "ltree", &["'Top.Sub_1.x'", "''"]),
    ("ltree", "lquery", &["'Top.*{1,2}.!x'"]),
    ("ltree", "ltxtquery", &["'a & !b*'"]),
    ("cube", "cube", &["'(0.1,1e-300),(2,-0)'", "'(1)'"]),
    ("seg", "seg", &["'6.25e-1 .. 1.50'", "'> 2'"]),
    ("isn", "isbn13", &["'978-0-393-04002-9'"]),
    ("isn", "ean13", &["'0220356483481'"]),
    ("intarray", "query_int", &["'1&(2|!3)'"]),
    ("lo", "lo", &["4294967295"]),
    ("earthdistance", "earth", &["'(6378168,0,0)'"]),
];

/// Settings that the text of values, or how literals are read, depends on.
const SESSIONS: &[&str] = &[
    "set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kolkata'; set extra_float_digits = -15",
    "set datestyle = 'German'; set timezone = 'America/New_York'; set intervalstyle = 'sql_standard'",
    "set bytea_output = 'escape'; set intervalstyle = 'iso_8601'; set search_path = pg_temp, public",
    "set datestyle = 'Postgres, MDY'; set intervalstyle = 'postgres_verbose'; set xmlbinary = hex; set xmloption = document",
    "set escape_string_warning = off; set quote_all_identifiers = on; set lc_numeric = 'C'; set lc_monetary = 'C.UTF-8'",
    "set array_nulls = off; set client_encoding = 'UTF8'; set default_transaction_isolation = 'repeatable read'",
];

/// Columns of a type and of its array, with the literals of values.
pub fn columns(major: u32) -> Vec<(String, Vec<String>)> {
    let mut columns = Vec::new();
    for (name, values) in of_major(major) {
        let values: Vec<String> = values.iter().map(|value| format!("({value})::{name}")).collect();
        // Arrays of domains are newer than the oldest server.
        if (major >= 11 || !name.starts_with("code")) && has_arrays(name, major) {
            // Of the values that are huge, one is enough.
            let small: Vec<&str> =
                values.iter().map(String::as_str).filter(|value| !value.contains("repeat(")).collect();
            let array = format!("array[{}, null]::{name}[]", small.join(", "));
            let nested = format!("array[[{0}], [{0}]]::{name}[]", values[0]);
            columns.push((format!("{name}[]"), vec![array, nested, format!("'{{}}'::{name}[]")]));
        }
        columns.push(((*name).to_owned(), values));
    }
    columns
}

/// The types of a major version that are not of [`CONTRIB`], with literals.
fn of_major(major: u32) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let newer = NEWER.iter().filter(move |(first, ..)| major >= *first).map(|(_, name, values)| (*name, *values));
    let older = OLDER.iter().filter(move |(last, ..)| major <= *last).map(|(_, name, values)| (*name, *values));
    TYPES.iter().copied().chain(newer).chain(older)
}

/// Before PostgreSQL 14 an array of these cannot be written, because they are arrays themselves.
fn has_arrays(name: &str, major: u32) -> bool {
    major >= 14 || !["int2vector", "oidvector"].contains(&name)
}

/// Types of the schema above.
pub const OWN: &[&str] = &["mood", "inner_pair", "pair", "span", "code", "codes", "citext", "hstore"];

/// Types of the server that have no binary form.
const WITHOUT_BINARY: &[&str] = &["aclitem"];

/// What a column's send function gives, hashed. Not of arrays and rows of our own types: those say the types' oids, which
/// are not the same in two databases.
fn binary(nr: usize, name: &str) -> Option<String> {
    let element = name.trim_end_matches("[]");
    let says_oid = name.ends_with("[]") || element.ends_with("pair");
    let is_sent = !WITHOUT_BINARY.contains(&element);
    // Sent as a row of one field: the number of fields, the type's oid, the value.
    (is_sent && (!says_oid || !OWN.contains(&element))).then(|| format!("md5(substr(record_send(row(c{nr})), 9))"))
}

/// Both sides' values of every row and column, as text and as they are sent.
#[track_caller]
pub fn assert_equal(
    [provider, subscriber]: [&Database; 2],
    table: &str,
    columns: &[(String, Vec<String>)],
    context: &str,
) {
    let fields: Vec<String> = (0..)
        .zip(columns)
        .map(|(nr, (name, _))| {
            format!("md5(c{nr}::text) || coalesce({}, '')", binary(nr, name).as_deref().unwrap_or("null"))
        })
        .collect();
    let sql = format!("select {}, md5({table}::text), id from {table} order by id", fields.join(", "));
    let (left, right) = (provider.rows(&sql), subscriber.rows(&sql));
    for (left, right) in left.iter().zip(&right) {
        if let Some(nr) = (0..columns.len()).find(|nr| left[*nr] != right[*nr]) {
            let name = &columns[nr].0;
            let id = left.last().unwrap();
            let value = format!("select left(c{nr}::text, 200) from {table} where id = {id}");
            let (left, right) = (provider.value(&value), subscriber.value(&value));
            panic!("table {table}, type {name}, id {id}, {context}:\n{left}\n{right}");
        }
    }
    assert_eq!(left, right, "{context}");
}

/// What a column's type is made of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    Plain,
    Array,
    Domain,
    NotNull,
    Check,
    Default,
    OverDomain,
    OverArray,
    ArrayOfDomain,
    /// With a field of a domain that is not null.
    Composite,
    OverComposite,
    /// An array of rows with a field that is an array of rows.
    Nested,
}

impl Wrap {
    pub const ALL: [Wrap; 12] = [
        Wrap::Plain,
        Wrap::Array,
        Wrap::Domain,
        Wrap::NotNull,
        Wrap::Check,
        Wrap::Default,
        Wrap::OverDomain,
        Wrap::OverArray,
        Wrap::ArrayOfDomain,
        Wrap::Composite,
        Wrap::OverComposite,
        Wrap::Nested,
    ];

    /// The major version that first has it.
    fn first(self) -> u32 {
        match self {
            Wrap::ArrayOfDomain | Wrap::OverComposite => 11,
            _ => 10,
        }
    }
}

/// A type to make columns of.
#[derive(Clone, Debug)]
pub struct Base {
    pub name: String,
    /// Literals with casts, none of them null.
    values: Vec<String>,
    /// Whether values can be sent in binary form.
    pub has_binary: bool,
}

/// All types of the server, of the extensions it has, and the own ones of [`OWN_TYPES`]. They are created where the session creates
/// objects, and extensions in schema `ext`.
///
/// Panics when the server has a type that is not in these lists.
#[track_caller]
pub fn bases(session: &Session, major: u32) -> Vec<Base> {
    session.sql("create schema if not exists ext; set search_path = ext");
    let own = ["mood", "inner_pair", "pair", "span", "code", "codes", "citext", "hstore"];
    let mut known: Vec<(&str, &[&str])> = of_major(major).filter(|(name, _)| !own.contains(name)).collect();
    let names: Vec<String> = known.iter().map(|(name, _)| format!("'{name}'::regtype")).collect();
    let missing = session.column(&format!(
        "select format_type(t.oid, null) from pg_type t
         where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm')
           and not exists (select from pg_type e where e.typarray = t.oid)
           and t.oid <> all (array[{}]::oid[]) and t.typname <> all ('{{{}}}')",
        names.join(", "),
        LEFT_OUT.join(", ")
    ));
    assert_eq!(missing, Vec::<String>::new(), "types of the server that have no values here");
    for (extension, name, values) in CONTRIB {
        // Domains, of which there are no arrays yet.
        if ["earth", "lo"].contains(name) && major < 11 {
            continue;
        }
        if session.try_rows(&format!("create extension if not exists {extension} cascade")).is_ok() {
            known.push((name, values));
        }
    }
    known
        .into_iter()
        .map(|(name, values)| {
            let sends = format!("select t.typsend <> 0 from pg_type t where t.oid = '{name}'::regtype");
            Base {
                name: name.to_owned(),
                values: values
                    .iter()
                    .filter(|value| !value.contains("repeat("))
                    .map(|value| format!("({value})::{name}"))
                    .collect(),
                // The server refuses the binary form of empty values of these.
                has_binary: !["tsquery", "int2vector", "oidvector"].contains(&name) && session.value(&sends) == "t",
            }
        })
        .chain(own_bases())
        .collect()
}

/// Types that [`bases`] says and the server has not, to be created with the tables.
pub const OWN_TYPES: &str = r"
    create type mood as enum ('sad', 'it''s \ ok', '');
    create type inner_pair as (a int, b text, t timestamptz);
    create type pair as (x inner_pair, f float8[], d interval);
    create type span as range (subtype = float8);
";

fn own_bases() -> impl Iterator<Item = Base> {
    ["mood", "inner_pair", "pair", "span"].into_iter().map(|own| {
        let (name, values) = TYPES.iter().find(|(name, _)| *name == own).expect("a type of the list");
        Base {
            name: (*name).to_owned(),
            values: values.iter().map(|value| format!("({value})::{name}")).collect(),
            has_binary: true,
        }
    })
}

/// A column of a type made from another.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub base: Base,
    pub wrap: Wrap,
    /// Creates the types that the column needs.
    pub ddl: String,
    pub type_name: String,
    /// Literals with casts, none of them null.
    pub values: Vec<String>,
    pub is_nullable: bool,
}

impl Column {
    /// A column with types that are named after its number. None where the server has no such types.
    pub fn new(nr: usize, base: &Base, wrap: Wrap, major: u32) -> Option<Column> {
        // Domains over rows.
        let is_domain = !matches!(wrap, Wrap::Plain | Wrap::Array | Wrap::OverArray);
        if major < wrap.first() || base.name.ends_with("pair") && is_domain && major < 11 {
            return None;
        }
        let is_array = matches!(wrap, Wrap::Array | Wrap::OverArray | Wrap::ArrayOfDomain);
        if is_array && !has_arrays(&base.name, major) {
            return None;
        }
        let (own, name) = (format!("k{nr}"), &base.name);
        let first = &base.values[0];
        let list = base.values.join(", ");
        let composite = format!(
            "create domain {own}_d as {name} not null; create type {own}_c as (a int, b {own}_d, \"odd ''% n\" text)"
        );
        let rows: Vec<String> = base
            .values
            .iter()
            .map(|value| format!("row(1, {value}, E'\\\\ '' \"')::{own}_c"))
            .chain([format!("row(null, {first}, null)::{own}_c")])
            .collect();
        let cast = |values: &[String]| values.iter().map(|value| format!("({value})::{own}")).collect::<Vec<_>>();
        let arrays = |name: &str| {
            vec![
                format!("array[{list}, null]::{name}[]"),
                format!("array[array[{first}], array[{first}]]::{name}[]"),
                format!("'{{}}'::{name}[]"),
            ]
        };
        let domain = |more: &str| (format!("create domain {own} as {name} {more}"), own.clone(), cast(&base.values));
        let (ddl, type_name, values) = match wrap {
            Wrap::Plain => (String::new(), name.clone(), base.values.clone()),
            Wrap::Array => (String::new(), format!("{name}[]"), arrays(name)),
            Wrap::Domain => domain(""),
            Wrap::NotNull => domain("not null"),
            Wrap::Check => domain("check (value is null or pg_catalog.length(value::text) > -1)"),
            Wrap::Default => domain(&format!("default {first}")),
            Wrap::OverDomain => (
                format!(
                    "create domain {own}_d as {name} check (pg_catalog.length(value::text) > -1);
                     create domain {own} as {own}_d default {first} not null"
                ),
                own.clone(),
                cast(&base.values),
            ),
            Wrap::OverArray => (format!("create domain {own} as {name}[]"), own.clone(), cast(&arrays(name))),
            Wrap::ArrayOfDomain => (
                format!("create domain {own} as {name} check (value is null or pg_catalog.length(value::text) > -1)"),
                format!("{own}[]"),
                arrays(&own),
            ),
            Wrap::Composite => (composite, format!("{own}_c"), rows),
            Wrap::OverComposite => (
                format!("{composite}; create domain {own} as {own}_c check ((value).a is distinct from 13)"),
                own.clone(),
                cast(&rows),
            ),
            Wrap::Nested => {
                let nested = format!("row(array[{}, null]::{own}_c[], 'y')::{own}_n", rows.join(", "));
                (
                    format!("{composite}; create type {own}_n as (x {own}_c[], y text)"),
                    format!("{own}_n[]"),
                    vec![
                        format!("array[{nested}, null]::{own}_n[]"),
                        format!("array[array[{nested}]]::{own}_n[]"),
                        format!("array[row(null, null)::{own}_n]"),
                        format!("'{{}}'::{own}_n[]"),
                    ],
                )
            }
        };
        Some(Column {
            name: format!("c{nr}"),
            base: base.clone(),
            wrap,
            ddl,
            type_name,
            values,
            is_nullable: !matches!(wrap, Wrap::NotNull | Wrap::OverDomain),
        })
    }

    /// A column that DDL adds or makes anew, without types of its own.
    pub fn added(name: &str, type_name: &str, values: &[&str]) -> Column {
        Column {
            name: name.to_owned(),
            base: Base { name: type_name.to_owned(), values: Vec::new(), has_binary: true },
            wrap: Wrap::Plain,
            ddl: String::new(),
            type_name: type_name.to_owned(),
            values: values.iter().map(|value| format!("({value})::{type_name}")).collect(),
            is_nullable: true,
        }
    }

    /// What the names of the column's own types begin with; None without such types.
    pub fn own(&self) -> Option<&str> {
        let rest = &self.ddl[self.ddl.find("create domain k")? + "create domain ".len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric())?;
        Some(&rest[..end])
    }

    /// Whether a value's binary form is the same in every database: it says no oid of a type that is not the server's own.
    pub fn is_same_everywhere(&self) -> bool {
        let is_server = of_major(u32::MAX).chain(of_major(0)).any(|(name, _)| name == self.base.name);
        is_server
            && self.base.has_binary
            && matches!(self.wrap, Wrap::Plain | Wrap::Array)
            && !OWN.contains(&self.base.name.as_str())
    }

    /// What a definition of a table says.
    pub fn definition(&self) -> String {
        let default = if self.is_nullable { String::new() } else { format!(" default {}", self.values[0]) };
        format!("{} {}{default}", self.name, self.type_name)
    }
}
