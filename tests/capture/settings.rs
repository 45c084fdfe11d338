//! The text of values in events is the same under every setting that a database or a role may have.

use super::events;
use crate::support::hostile::{self, TEXTS, hostile};
use crate::support::{Cluster, QUEUE, Replication, Session, effort, wait_until};

/// Types whose text looks at settings, and what is made of them.
const SCHEMA: &str = "
    create extension citext;
    create schema odd;
    create table odd.\"Table\" (a int);
    create type mood as enum ('sad', 'it''s \\ ok');
    create domain mood_domain as mood;
    create domain day as date check (value > '1000-01-01');
    create domain days as date[];
    create domain real_domain as float8 not null;
    create type pair as (d date, f float8, b bytea, i interval);
    create type span as range (subtype = float8);
";

/// Each column with its type and two values.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("date", "'2026-02-03'", "'4713-01-01 BC'"),
    ("timestamp", "'2026-02-03 04:05:06.7'", "'infinity'"),
    ("timestamptz", "'2026-02-03 04:05:06.7+00'", "'2026-07-08 09:10:11+00'"),
    ("timetz", "'23:59:59+15:59'", "'00:00-12:30'"),
    ("interval", "'-1 year -2 mons +3 days -04:05:06.7'", "'30 days'"),
    ("float4", "0.1", "'3.4028235e38'"),
    ("float8", "0.1 + 0.2", "1.0 / 3"),
    ("numeric", "1.50", "'NaN'"),
    ("bytea", "'\\x005c27ff'", "''"),
    ("money", "12345.67::numeric", "'-1'"),
    ("xml", "'<a>&amp;</a>'", "'text only'"),
    ("point", "'(0.1,0.2)'", "'(1e-300,0)'"),
    ("circle", "'<(0.1,0.3),1e-7>'", "'<(0,0),1>'"),
    ("daterange", "'[2026-01-02,2026-02-03)'", "'empty'"),
    ("tstzrange", "'[\"2026-01-02 03:04+00\",infinity]'", "'(,)'"),
    ("span", "'[0.1,1e300)'", "'(,0.3]'"),
    ("mood", "'sad'", "'it''s \\ ok'"),
    ("mood_domain", "'sad'", "'it''s \\ ok'"),
    ("day", "'2026-02-03'", "'2026-03-02'"),
    ("days", "array['2026-02-03'::date, null]", "'{}'"),
    ("real_domain", "0.1 + 0.2", "0.1"),
    ("pair", "row('2026-02-03', 0.1, '\\x00ff', '1 mon')", "row(null, null, null, null)"),
    ("date[]", "array['2026-02-03'::date, null]", "'{}'"),
    ("timestamptz[]", "array['2026-02-03 04:05+00'::timestamptz]", "'{}'"),
    ("float8[]", "array[0.1 + 0.2, 'NaN']::float8[]", "'{}'"),
    ("interval[]", "array['1 mon'::interval]", "'{}'"),
    ("bytea[]", "array['\\x00ff'::bytea]", "'{}'"),
    ("money[]", "array[1.5::numeric::money]", "'{}'"),
    ("mood[]", "array['sad', null]::mood[]", "'{}'"),
    ("text[]", "array['NULL', null, 'null', 'a\\b']", "'{}'"),
    ("pair[]", "array[row('2026-02-03', 0.1, '\\x00ff', '1 mon')::pair, null]", "'{}'"),
    ("regclass", "'odd.\"Table\"'", "'pg_class'"),
    ("regtype", "'timestamp with time zone'", "'mood'"),
    ("regproc", "'pg_catalog.now'", "null"),
    ("json", "'{\"a\" : 1.50}'", "'null'"),
    ("jsonb", "'{\"a\": 1.50}'", "'null'"),
    ("citext", "'MiXed \\'", "''"),
    ("text", "'a\\b''c'", "'null'"),
    ("bool", "true", "false"),
    ("tsvector", "$$'it''s':1A '\\':2 ''' $$::text::tsvector", "''"),
];

/// What each session writes. The values are in a table: no literal is read under the settings.
const WRITE: [&str; 6] = [
    "insert into public.zoo select * from public.cage where id operator(pg_catalog.=) 1",
    "insert into public.zoo select * from public.cage where id operator(pg_catalog.<>) 1",
    "update public.zoo z set (COLUMNS) = (select COLUMNS from public.cage c where c.id operator(pg_catalog.=) 1)
     where z.id operator(pg_catalog.=) 2",
    "update public.zoo z set day = c.day, (COLUMNS) = (select COLUMNS from public.cage c where c.id operator(pg_catalog.<>) z.id)
     from public.cage c where c.id operator(pg_catalog.<>) z.id",
    "delete from public.zoo where id operator(pg_catalog.=) 1",
    "truncate public.PART",
];

struct Zoo {
    r: Replication,
    role: String,
    part: &'static str,
}

impl Zoo {
    fn new(capture: &str, format: &str, more: &str) -> Zoo {
        let r = Replication::new();
        let columns: Vec<String> = COLUMNS.iter().enumerate().map(|(nr, (name, ..))| format!("c{nr} {name}")).collect();
        let definition = format!("(id int, day timestamptz, {}, primary key (id, day))", columns.join(", "));
        let is_partitioned = more.contains("partition");
        r.provider.sql(&format!(
            "{SCHEMA} create table zoo {definition} {}; create table cage {definition}; {more}",
            if is_partitioned { "partition by range (id)" } else { "" }
        ));
        for id in 1..=2 {
            let values: Vec<String> = COLUMNS
                .iter()
                .map(|(name, one, other)| format!("({})::{name}", if id == 1 { one } else { other }))
                .collect();
            r.provider.sql(&format!("insert into cage values ({id}, '2026-02-0{id} 03:04+00', {})", values.join(", ")));
        }
        r.install();
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.zoo', '{capture}', '{format}', null)"
        ));
        let role = format!("keeper_{}", r.provider.name());
        Cluster::provider().sql(&format!("create role {role} login"));
        r.provider.sql(&format!("grant all on all tables in schema public to {role}"));
        Zoo { r, role, part: if is_partitioned { "part" } else { "zoo" } }
    }

    /// The events of a new session of the role.
    #[track_caller]
    fn write(&self, context: &str) -> Vec<String> {
        let before = events(&self.r.provider).len();
        let session = Session::connect(&self.r.provider.conninfo_as(&self.role)).unwrap();
        let columns: Vec<String> = (0..COLUMNS.len()).map(|nr| format!("c{nr}")).collect();
        for statement in WRITE {
            let statement = statement.replace("COLUMNS", &columns.join(", ")).replace("PART", self.part);
            // In isolation level serializable, TRUNCATE of a partition is refused while rows come that it does not see.
            wait_until(&format!("{context}: {statement}"), || {
                match session.try_rows(&statement).map_err(|e| e.to_string()) {
                    Err(error) if error.contains("40001") => Err(error),
                    Err(error) => panic!("{context}: {error}\nin: {statement}"),
                    Ok(_) => Ok(()),
                }
            });
        }
        // The rows of one statement have no order.
        let mut events = events(&self.r.provider).split_off(before);
        events.sort();
        events
    }

    /// Compares what is written under settings of a place, `database d` or `role r`, with what is expected.
    #[track_caller]
    fn check(&self, settings: &[(&str, &str)], place: &str, expected: &[String], context: &str) {
        let context = format!("{context}, {place}, {settings:?}");
        hostile::alter(&self.r.provider, place, settings);
        let found = self.write(&context);
        for (found, expected) in found.iter().zip(expected) {
            pretty_assertions::assert_str_eq!(found, expected, "{context}");
        }
        assert_eq!(found.len(), expected.len(), "{context}");
        // Set back by a session that has them all.
        self.r.provider.session().sql(&format!("alter {place} reset all"));
    }

    /// Maintenance that works under the settings finds nothing to do.
    #[track_caller]
    fn maintain(&self, settings: &[(&str, &str)], context: &str) {
        let place = format!("database {}", self.r.provider.name());
        hostile::alter(&self.r.provider, &place, settings);
        let session = self.r.provider.session();
        let done = session.value(&format!("select londiste.provider_maintain('{QUEUE}')"));
        assert_eq!(done, "0", "{context}, {settings:?}");
        session.sql(&format!("alter {place} reset all"));
    }
}

/// How much of the product of settings and places is tried: `all`, or each sixth setting in one place.
const EFFORT: &str = "SETTINGS_EFFORT";

#[track_caller]
fn check(capture: &str, format: &str, more: &str) {
    let zoo = Zoo::new(capture, format, more);
    let context = format!("capture {capture}, format {format}, {more}");
    let expected = zoo.write(&context);
    let least = if capture == "row" || more.contains("partition") { 7 } else { 6 };
    assert!(expected.len() >= least, "{expected:?}");
    let all = std::env::var(EFFORT).is_ok_and(|effort| effort == "all");
    let places = [format!("database {}", zoo.r.provider.name()), format!("role {}", zoo.role)];
    let together = hostile();
    let (first, step) = effort::cases(EFFORT, 6);
    let alone: Vec<_> = if all { together.clone() } else { TEXTS.iter().skip(first).step_by(step).copied().collect() };
    for (nr, setting) in alone.iter().enumerate() {
        for place in places.iter().skip(nr % 2).take(if all { 2 } else { 1 }) {
            zoo.check(&[*setting], place, &expected, &context);
        }
    }
    for place in &places {
        zoo.check(&together, place, &expected, &context);
    }
    for setting in together.iter().filter(|(name, _)| all || *name == "quote_all_identifiers") {
        zoo.maintain(&[*setting], &context);
    }
    zoo.maintain(&together, &context);

    // The generic way: the functions do not know this column.
    zoo.r.provider.sql("alter table zoo add column later int; alter table cage add column later int");
    let expected = zoo.write(&context);
    let context = format!("{context}, generic");
    for setting in alone.iter().filter(|_| all) {
        zoo.check(&[*setting], &places[1], &expected, &context);
    }
    zoo.check(&together, &places[1], &expected, &context);
}

#[test]
fn statement_capture() {
    check("statement", "sql", "select");
}

#[test]
fn row_capture() {
    check("row", "sql", "select");
}

#[test]
fn early_capture() {
    let trigger = "create function f() returns trigger language plpgsql as 'begin return null; end';
         create trigger f after insert or update or delete on zoo for each row execute procedure f()";
    check("statement", "sql", trigger);
}

#[test]
fn urlenc_capture() {
    check("statement", "urlenc", "select");
}

#[test]
fn json_capture() {
    check("row", "json", "select");
}

#[test]
fn partition_capture() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    check("statement", "sql", "create table part partition of zoo for values from (0) to (100)");
}
