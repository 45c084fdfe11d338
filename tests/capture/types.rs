//! Values of every type arrive as they are, whatever the settings of the session that writes them.

use rlondiste::config::Apply;
use rlondiste::londiste::apply::Settings;

use crate::apply::{Replay, SETTINGS};
use crate::support::statements::Dice;
use crate::support::{Database, QUEUE, Replication};

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
    (13, "pg_snapshot", &["'10:20:10,14,15'"]),
    (14, "int4multirange", &["'{}'", "'{[1,3),[5,)}'"]),
    (14, "tstzmultirange", &["'{[\"2020-01-02 03:04+00\",\"2021-02-03 00:00+00\")}'"]),
    (14, "nummultirange", &["'{[1.50,2.5],(3,)}'"]),
    (14, "datemultirange", &["'{[0044-03-15 BC,2020-02-03)}'"]),
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
    let newer = NEWER.iter().filter(|(first, ..)| major >= *first).map(|(_, name, values)| (name, values));
    let mut columns = Vec::new();
    for (name, values) in TYPES.iter().map(|(name, values)| (name, values)).chain(newer) {
        let values: Vec<String> = values.iter().map(|value| format!("({value})::{name}")).collect();
        // Arrays of domains are newer than the oldest server.
        if major >= 11 || !name.starts_with("code") {
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

/// Types of the schema above.
pub const OWN: &[&str] = &["mood", "inner_pair", "pair", "span", "code", "codes", "citext", "hstore"];

/// What a column's send function gives, hashed. Not of arrays and rows of our own types: those say the types' oids, which
/// are not the same in two databases.
fn binary(nr: usize, name: &str) -> Option<String> {
    let element = name.trim_end_matches("[]");
    let says_oid = name.ends_with("[]") || element.ends_with("pair");
    // Sent as a row of one field: the number of fields, the type's oid, the value.
    (!says_oid || !OWN.contains(&element)).then(|| format!("md5(substr(record_send(row(c{nr})), 9))"))
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

#[track_caller]
fn check(capture: &str, format: &str, apply: Apply) {
    let r = Replication::new().with_schema(SCHEMA);
    let columns = columns(r.provider.major());
    let definition: Vec<String> = columns.iter().enumerate().map(|(nr, (name, _))| format!("c{nr} {name}")).collect();
    for database in [&r.provider, &r.subscriber] {
        database.sql(&format!("create table types (id int primary key, {})", definition.join(", ")));
    }
    r.install();
    r.provider.sql(&format!(
        "select londiste.provider_add_table_as('{QUEUE}', 'public.types', '{capture}', '{format}', null)"
    ));
    let mut replay = Replay::new(&r.provider, &r.subscriber, Settings { apply, ..SETTINGS }, "public.types");
    let mut dice = Dice::new(11);
    let mut from = 0;
    let mut pick = |values: &[String]| values[usize::try_from(dice.below(values.len() as u64)).unwrap()].clone();
    for (nr, settings) in SESSIONS.iter().enumerate() {
        let context = format!("capture {capture}, format {format}, {apply:?}, {settings}");
        let session = r.provider.session();
        // Literals are read before the settings change how.
        session.sql("create temp table chosen as select * from types where false");
        for id in 0..12 {
            let values: Vec<String> = columns
                .iter()
                .map(|(_, values)| match id {
                    11 => "null".to_owned(),
                    id if id < values.len() => values[id].clone(),
                    _ => pick(values),
                })
                .collect();
            session.sql(&format!("insert into chosen values ({}, {})", nr * 100 + id, values.join(", ")));
        }
        session.sql(settings);
        session.sql("insert into public.types select * from chosen where id % 100 < 6");
        session.sql("insert into public.types select * from chosen where id % 100 >= 6");
        let changes: Vec<String> = (0..columns.len()).map(|nr| format!("c{nr} = n.c{nr}")).collect();
        session.sql(&format!(
            "update public.types t set {} from chosen n where t.id % 100 in (2, 11) and n.id = t.id / 100 * 100 + 13 - t.id % 100",
            changes.join(", ")
        ));
        for (nr, _) in columns.iter().enumerate().step_by(20) {
            session.sql(&format!(
                "update public.types t set c{nr} = n.c{nr} from chosen n where n.id = t.id + 1 and t.id % 100 < 4"
            ));
        }
        session.sql("delete from public.types where id % 100 = 9");
        let events = format!("select * from pgq.event_1 where ev_id > {from} order by ev_id");
        replay.apply(&events).unwrap_or_else(|error| panic!("{context}: {}", rlondiste::Report(&error)));
        from = r.provider.value("select max(ev_id) from pgq.event_1").parse::<i64>().unwrap();
        assert_equal([&r.provider, &r.subscriber], "types", &columns, &context);
    }
    assert_eq!(r.subscriber.value("select count(*) from types"), (11 * SESSIONS.len()).to_string());
    r.provider.sql("delete from types");
    replay.apply(&format!("select * from pgq.event_1 where ev_id > {from} order by ev_id")).unwrap();
    assert_eq!(r.subscriber.value("select count(*) from types"), "0");
}

#[test]
fn statement_capture_keeps_values_of_every_type() {
    check("statement", "sql", Apply::Row);
}

#[test]
fn row_capture_keeps_values_of_every_type_for_apply_by_sets() {
    check("row", "sql", Apply::Set);
}

#[test]
fn whole_rows_as_urlenc_keep_values_of_every_type() {
    check("statement", "urlenc", Apply::Row);
}
