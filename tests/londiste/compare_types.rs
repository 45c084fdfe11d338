//! `compare` by value: columns of every type, on servers of different versions and settings, are equal when they are, and a change
//! of any one of them is found.

use std::fmt::Write as _;

use pretty_assertions::assert_eq;

use super::majors::servers;
use crate::support::hostile::alter;
use crate::support::types::{Base, Column, OWN_TYPES, Wrap, bases};
use crate::support::{Cluster, Database, Replication, effort};

/// Which of the tables a run makes: each fourth of [`WRAPS`], or with `TYPES_EFFORT=all` all of them.
const EFFORT: &str = "TYPES_EFFORT";

/// What the columns of a table are made of their types.
const WRAPS: [Wrap; 8] = [
    Wrap::Plain,
    Wrap::Array,
    Wrap::Domain,
    Wrap::OverArray,
    Wrap::ArrayOfDomain,
    Wrap::Composite,
    Wrap::OverComposite,
    Wrap::Nested,
];

const SETTINGS: [&[(&str, &str)]; 2] = [
    &[
        ("timezone", "'Asia/Kolkata'"),
        ("datestyle", "'SQL, DMY'"),
        ("intervalstyle", "iso_8601"),
        ("extra_float_digits", "-5"),
        ("bytea_output", "escape"),
        ("lc_monetary", "'C.UTF-8'"),
    ],
    &[
        ("timezone", "'America/New_York'"),
        ("datestyle", "German"),
        ("intervalstyle", "sql_standard"),
        ("extra_float_digits", "0"),
        ("xmlbinary", "hex"),
        ("array_nulls", "off"),
    ],
];

/// A table with columns of every type that both servers have, made in one way.
struct Table {
    name: String,
    columns: Vec<Column>,
}

impl Table {
    /// The definition; `nr` is the side, and the subscriber's columns are in reverse order.
    fn definition(&self, nr: usize) -> String {
        let mut columns: Vec<String> = self.columns.iter().map(Column::definition).collect();
        columns.push("id int primary key".to_owned());
        if nr == 1 {
            columns.reverse();
        }
        format!("create table {} ({});", self.name, columns.join(", "))
    }

    /// A row for each column, and one more.
    fn rows(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let rows: Vec<String> = (0..=self.columns.len())
            .map(|row| {
                let values: Vec<&str> = self.columns.iter().map(|column| value(column, row)).collect();
                format!("({row}, {})", values.join(", "))
            })
            .collect();
        format!("insert into {} (id, {}) values {};", self.name, names.join(", "), rows.join(", "))
    }

    /// Gives each column another value, that of the row which has its number.
    fn spoil(&self, provider: &Database) -> String {
        let session = provider.session();
        session.sql("set search_path = ext");
        let mut sql = String::new();
        for (row, column) in self.columns.iter().enumerate() {
            let texts: Vec<String> = column.values.iter().map(|value| format!("({value})::text")).collect();
            let texts = session.rows(&format!("select {}", texts.join(", "))).remove(0);
            // What differs in zeros only may be the same number.
            let text = |row: usize| texts[row % texts.len()].replace('0', "");
            let other = (row..row + texts.len()).find(|other| text(*other) != text(row));
            let other = other.map_or("null", |other| value(column, other));
            writeln!(sql, "update {} set {} = {other} where id = {row};", self.name, column.name).unwrap();
        }
        sql
    }

    fn nullify(&self) -> String {
        let update = |(row, column): (usize, &Column)| {
            format!("update {} set {} = null where id = {row};", self.name, column.name)
        };
        self.columns.iter().enumerate().map(update).collect()
    }
}

fn value(column: &Column, row: usize) -> &str {
    &column.values[row % column.values.len()]
}

/// Creates the tables and their types on both sides, and rows on the provider.
fn tables(r: &Replication) -> Vec<Table> {
    let sides = [&r.provider, &r.subscriber];
    let sessions = sides.map(Database::session);
    let [theirs, ours]: [Vec<Base>; 2] = [0, 1].map(|nr| bases(&sessions[nr], sides[nr].major()));
    let both: Vec<Base> = theirs.into_iter().filter(|base| ours.iter().any(|own| own.name == base.name)).collect();
    let major = sides.iter().map(|side| side.major()).min().unwrap();
    let mut tables = Vec::new();
    let (first, step) = effort::cases(EFFORT, 4);
    for wrap in WRAPS.into_iter().skip(first).step_by(step) {
        let columns: Vec<Column> = both
            .iter()
            .enumerate()
            .filter_map(|(nr, base)| Column::new(tables.len() * 1000 + nr, base, wrap, major))
            .collect();
        tables.push(Table { name: format!("ext.as_{wrap:?}").to_lowercase(), columns });
    }
    tables.retain(|table| !table.columns.is_empty());
    for (nr, session) in sessions.iter().enumerate() {
        session.sql(OWN_TYPES);
        for table in &tables {
            let types: Vec<&str> = table.columns.iter().map(|column| column.ddl.as_str()).collect();
            session.sql(&format!("{}; {}", types.join(";"), table.definition(nr)));
        }
    }
    for table in &tables {
        sessions[0].sql(&table.rows());
    }
    tables
}

fn tell_apart_all_types(r: Replication) {
    for (side, settings) in [&r.provider, &r.subscriber].into_iter().zip(SETTINGS) {
        assert!(alter(side, &format!("database {}", side.name()), settings) > 3);
    }
    let tables = tables(&r);
    let r = r.up();
    for command in ["--online", "--checksum"] {
        r.londiste.program(["compare", command]).stdout("").run();
    }
    let fix = r.londiste.program(["repair"]).run();
    assert_eq!(fix.stderr.matches("missed: 0 inserts, 0 updates, 0 deletes").count(), tables.len(), "{}", fix.stderr);
    let session = r.subscriber.session();
    session.sql("set search_path = ext");
    let keep = |table: &Table| format!("create table {0}_kept as select * from {0};", table.name);
    session.sql(&tables.iter().map(keep).collect::<String>());
    for nullify in [false, true] {
        for table in &tables {
            session.sql(&if nullify { table.nullify() } else { table.spoil(&r.provider) });
        }
        let output = r.londiste.program(["compare", "--online"]).status(1).run();
        let checksum = r.londiste.program(["compare", "--checksum"]).status(1).run();
        for table in &tables {
            let rows = table.columns.len();
            let listed = |row: &usize| output.stdout.contains(&format!("{} (id) = ({row}): changed\n", table.name));
            let missed: Vec<&str> =
                (0..rows).filter(|row| !listed(row)).map(|row| table.columns[row].base.name.as_str()).collect();
            assert_eq!(missed, Vec::<&str>::new(), "{}, nullify {nullify}", table.name);
            let all = format!("{}: {rows} rows differ (0 missing, 0 extra, {rows} changed)\n", table.name);
            assert!(output.stdout.contains(&all), "{all}{}", output.stdout);
            let range = format!(
                "{0} (id) from (0) to ({rows}): provider {1} rows, subscriber {1} rows, {rows} differ\n",
                table.name,
                rows + 1
            );
            assert!(checksum.stdout.contains(&range), "{range}{}", checksum.stdout);
        }
        let restore = |table: &Table| format!("delete from {0}; insert into {0} select * from {0}_kept;", table.name);
        session.sql(&tables.iter().map(restore).collect::<String>());
        r.londiste.program(["compare", "--online"]).stdout("").run();
    }
}

#[test]
fn all_types_are_told_apart_by_value() {
    tell_apart_all_types(Replication::new());
}

#[test]
fn all_types_are_told_apart_from_postgresql_10_to_18() {
    let Some((provider, subscriber)) = servers(10, 18) else { return };
    tell_apart_all_types(Replication::between(&provider, &subscriber));
}

#[test]
fn all_types_are_told_apart_from_postgresql_18_to_10() {
    let Some((provider, subscriber)) = servers(18, 10) else { return };
    tell_apart_all_types(Replication::between(&provider, &subscriber));
}

/// Types with floats inside, each with a value and the next one that there is.
const FLOATS: &[(&str, &str, &str)] = &[
    ("float8", "0.1", "0.10000000000000002"),
    ("float4", "0.1", "0.10000001"),
    ("amount", "0.1", "0.10000000000000002"),
    ("float8[]", "'{0.1,NULL,NaN}'", "'{0.10000000000000002,NULL,NaN}'"),
    ("float8[]", "'[2:3]={0.1,-Infinity}'", "'{0.1,-Infinity}'"),
    ("float4[]", "'{{0.1},{1e-45}}'", "'{{0.10000001},{1e-45}}'"),
    ("amounts", "'{0.1}'", "'{0.10000000000000002}'"),
    ("span", "'[0.1,1e300)'", "'(0.1,1e300)'"),
    ("span", "'[0.1,)'", "'[0.10000000000000002,)'"),
    ("span[]", "'{empty,\"[0.1,1)\"}'", "'{empty,\"[0.10000000000000002,1)\"}'"),
    ("parts", "row(0.1, '0.10', '{0.1}')", "row(0.10000000000000002, '0.10', '{0.1}')"),
    ("parts", "row(0.1, '0.10', '{0.1}')", "row(0.1, '0.1', '{0.1}')"),
    ("parts", "row(0.1, null, '{0.1}')", "row(0.1, '', '{0.1}')"),
    (
        "parts[]",
        "array[row(0.1, 'a', null), null]::parts[]",
        "array[row(0.1, 'a', null), row(null, null, null)]::parts[]",
    ),
    ("parts[]", "array[row(0.1, 'a', '{0.1}')]::parts[]", "array[row(0.1, 'a', '{0.10000001}')]::parts[]"),
    ("point", "'(0.1,NaN)'", "'(0.10000000000000002,NaN)'"),
    ("point", "'(0.1,-1e-300)'", "'(0.1,1e-300)'"),
    ("path", "'[(0.1,0),(1,1)]'", "'((0.1,0),(1,1))'"),
    ("polygon[]", "'{\"((0.1,0),(1,1))\"}'", "'{\"((0.10000000000000002,0),(1,1))\"}'"),
];

fn tell_apart_floats(r: &Replication) {
    let mut columns = String::from("id int primary key");
    for (nr, (name, ..)) in FLOATS.iter().enumerate() {
        write!(columns, ", c{nr} {name}").unwrap();
    }
    let schema = format!(
        "create domain amount as float8; create domain amounts as float8[]; create type span as range (subtype = float8);
         create type parts as (f float8, t text, fs float4[]); create table floats ({columns});
         create table keys (f float8, g float4, n numeric, primary key (f, g, n))"
    );
    for side in [&r.provider, &r.subscriber] {
        side.sql(&schema);
    }
    let values: Vec<&str> = FLOATS.iter().map(|(_, value, _)| *value).collect();
    let values = values.join(", ");
    for row in 10..10 + FLOATS.len() {
        r.provider.sql(&format!("insert into floats values ({row}, {values})"));
    }
    r.provider.sql(
        "insert into keys values (0.1, 1e-7, 1.50), (1.0 / 3, 1.0 / 3, 2), ('-0', 'NaN', 'NaN'), ('-Infinity', 0, 0), (1e300, 1, 1)",
    );
    r.install();
    r.start();
    r.add("--all");
    r.wait_until_ok();
    r.subscriber.sql("update keys set n = 1.5 where n = 1.50; update keys set f = 0 where f = 0");
    for command in ["--online", "--checksum"] {
        r.londiste.program(["compare", command]).stdout("").run();
    }
    for (row, (.., next)) in FLOATS.iter().enumerate() {
        r.subscriber.sql(&format!("update floats set c{row} = {next} where id = {}", row + 10));
    }
    let rows = FLOATS.len();
    let mut expected = format!("public.floats: {rows} rows differ (0 missing, 0 extra, {rows} changed)\n");
    for row in 10..10 + rows {
        writeln!(expected, "public.floats (id) = ({row}): changed").unwrap();
    }
    r.londiste.program(["compare", "--online"]).stdout(expected).status(1).run();
    let fix = r.londiste.program(["repair", "floats"]).run();
    assert!(fix.stderr.contains(&format!("missed: 0 inserts, {rows} updates, 0 deletes")), "{}", fix.stderr);
}

#[test]
fn floats_inside_of_values_are_compared_bit_by_bit() {
    tell_apart_floats(&Replication::new());
}

#[test]
fn floats_inside_of_values_have_other_digits_before_postgresql_12() {
    for (from, to) in [(10, 18), (18, 10)] {
        let Some((provider, subscriber)) = servers(from, to) else { return };
        tell_apart_floats(&Replication::between(&provider, &subscriber));
    }
}

#[test]
fn texts_are_equal_whatever_the_encoding_and_collation() {
    let latin1 = Cluster::subscriber().database_with("encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'");
    let provider = Cluster::provider().database();
    for (provider, subscriber) in [(provider, latin1)] {
        let r = Replication::of(provider, subscriber)
            .with_table("t", "k text primary key, v varchar(20), c char(5), a text[], j jsonb, x xml, n name");
        r.provider.sql(
            "insert into t select k, 'ä' || i, 'ö', array['ß', null, k], jsonb_build_object('é', i),
                    '<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>é</a>', 'ñ'
             from unnest(array['a', 'B', 'é', 'É', 'z', 'ÿ', '', '_']) with ordinality u(k, i)",
        );
        let r = r.up();
        for command in ["--online", "--checksum"] {
            r.londiste.program(["compare", command]).stdout("").run();
        }
        for spoil in ["v = 'ä'", "c = 'o'", "a = array['ß', '', k]", "j = '{}'", "x = '<a>e</a>'", "n = 'n'"] {
            r.subscriber.sql(&format!(
                "create table kept as select * from t; update t set {spoil} where k = convert_from('\\xc3a9', 'UTF8')"
            ));
            let stdout = "public.t: 1 rows differ (0 missing, 0 extra, 1 changed)\npublic.t (k) = (é): changed\n";
            r.londiste.program(["compare", "--online"]).stdout(stdout).status(1).run();
            let output = r.londiste.program(["compare", "--checksum"]).status(1).run();
            let range = "provider 8 rows, subscriber 8 rows, 1 differ\n";
            assert!(output.stdout.ends_with(range), "{spoil}: {}", output.stdout);
            r.subscriber.sql("delete from t; insert into t select * from kept; drop table kept");
        }
    }
}

/// The indexes of the two sides have the keys in different orders, so that a range of keys has other rows on the other side.
#[test]
fn keys_are_equal_whatever_their_order() {
    let r = Replication::new();
    if r.provider.value("select count(*) from pg_collation where collname = 'und-x-icu'") == "0" {
        return;
    }
    r.provider.sql("create table t (k text collate \"C\" primary key, v int)");
    r.subscriber.sql("create table t (k text collate \"und-x-icu\" primary key, v int)");
    r.provider.sql(
        "insert into t select case when i % 2 = 0 then 'K' else 'k' end || i, i from generate_series(10001, 65000) i",
    );
    let r = r.up();
    for command in ["--online", "--checksum"] {
        r.londiste.program(["compare", command]).stdout("").run();
    }
    r.subscriber
        .sql("update t set v = 0 where k = 'k20001'; delete from t where k = 'K30000'; insert into t values ('kk', 1)");
    let output = r.londiste.program(["compare", "--online"]).status(1).run();
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    lines.sort_unstable();
    let expected = [
        "public.t (k) = (K30000): missing",
        "public.t (k) = (k20001): changed",
        "public.t (k) = (kk): extra",
        "public.t: 3 rows differ (1 missing, 1 extra, 1 changed)",
    ];
    assert_eq!(lines, expected);
    let output = r.londiste.program(["compare", "--checksum"]).status(1).run();
    let differing = output.stdout.lines().map(|line| {
        let (_, rest) = line.split_once(" rows, subscriber ").unwrap();
        let (_, count) = rest.split_once(" rows, ").unwrap();
        count.trim_end_matches(" differ").parse::<u32>().unwrap()
    });
    assert_eq!(differing.sum::<u32>(), 3, "{}", output.stdout);
}
