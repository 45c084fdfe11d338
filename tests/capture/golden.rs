//! What the generator of capture functions makes, kept as text for a few tables: `tests/capture/golden/NAME.sql`.
//!
//! Whoever changes the generator reads the difference of these files. `UPDATE_GOLDEN=1 tests/run.sh capture::golden` writes them
//! anew. Numbers that a database gives (oids, hashes over them) stand there as names. A function has a branch for each event table of
//! its queue; all but one of the files show a queue with one event table, because the branches differ in nothing else.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::support::{Cluster, Database, QUEUE, Replication};

/// Writes the files instead of comparing them.
const UPDATE: &str = "UPDATE_GOLDEN";

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/capture/golden", &format!("{name}.sql")].iter().collect()
}

/// Puts names in the place of oids and hashes.
fn normalised(database: &Database, text: &str) -> String {
    let mut text = text.to_owned();
    for row in database.rows(
        "select c.oid, c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('public', 'pgq') and c.relkind in ('r', 'p', 'S')",
    ) {
        for (before, after) in [("'", "'"), ("{", ","), (",", ","), (",", "}")] {
            text = text.replace(&format!("{before}{}{after}", row[0]), &format!("{before}{}{after}", row[1]));
        }
    }
    let hashes = database.column(
        "select distinct m[1] from pg_proc, regexp_matches(prosrc, '''([0-9a-f]{32})''', 'g') m where proname ~ '^capture_[0-9]'",
    );
    assert!(!hashes.is_empty());
    for hash in hashes {
        text = text.replace(&hash, "(hash of the plan)");
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned() + "\n"
}

/// The triggers and functions of schema londiste that capture a database's tables.
fn generated(database: &Database) -> String {
    let mut text = String::new();
    for row in database.rows(
        "select t.tgrelid::regclass, regexp_replace(pg_get_triggerdef(t.oid), 'EXECUTE (PROCEDURE|FUNCTION)', 'EXECUTE PROCEDURE'),
                t.tgenabled, case when exists (select from pg_inherits i join pg_trigger p on p.tgrelid = i.inhparent
                                               where i.inhrelid = t.tgrelid and p.tgfoid = t.tgfoid) then ' (of the partitioned table)'
                             else '' end
         from pg_trigger t join pg_proc p on p.oid = t.tgfoid
         where p.pronamespace = 'londiste'::regnamespace and p.proname like 'capture%'
         order by t.tgrelid, t.tgname",
    ) {
        writeln!(text, "-- {}, enabled {}{}\n{};\n", row[0], row[2], row[3], row[1]).unwrap();
    }
    for row in database.rows(
        "select p.oid::regprocedure, p.prosecdef, coalesce(array_to_string(p.proconfig, '; '), 'none'), p.prosrc
         from pg_proc p where p.pronamespace = 'londiste'::regnamespace and p.proname ~ '^capture_[0-9]'
         order by p.proname",
    ) {
        let rights = if row[1] == "t" { "security definer" } else { "security invoker" };
        writeln!(text, "-- function {}: {rights}, settings: {}\n{}\n", row[0], row[2], row[3].trim()).unwrap();
    }
    text
}

#[track_caller]
fn compare(name: &str, database: &Database, head: &str, text: &str) {
    let text =
        format!("-- Written by UPDATE_GOLDEN=1 tests/run.sh capture::golden\n{head}\n\n{}", normalised(database, text));
    if std::env::var_os(UPDATE).is_some() {
        fs::write(path(name), text).unwrap();
        return;
    }
    let golden = fs::read_to_string(path(name)).unwrap_or_default();
    pretty_assertions::assert_str_eq!(golden, text, "{name}: if this is meant, {UPDATE}=1 writes the files anew");
}

/// Table `t`, made by `schema` and captured.
fn provider(schema: &str, capture: &str, format: &str, event_tables: u32) -> Replication {
    let r = Replication::new();
    r.provider.sql(schema);
    r.install();
    r.provider.sql(&format!(
        "update pgq.queue set queue_ntables = {event_tables};
         select londiste.provider_add_table_as('{QUEUE}', 'public.t', '{capture}', '{format}', null)"
    ));
    r
}

/// Compares what is generated for table `t`, made by `schema`, where the queue has one event table.
#[track_caller]
fn check(name: &str, schema: &str, capture: &str, format: &str) {
    check_with(name, &provider(schema, capture, format, 1), schema, capture, format);
}

#[track_caller]
fn check_with(name: &str, r: &Replication, schema: &str, capture: &str, format: &str) {
    let head = format!("-- capture {capture}, event format {format}\n{schema};");
    compare(name, &r.provider, &head, &generated(&r.provider));
}

#[test]
fn key_of_one_column() {
    check("one_key_statement", "create table t (id int primary key, v text)", "statement", "sql");
}

#[test]
fn branches_for_all_event_tables() {
    let schema = "create table t (id int primary key, v text)";
    check_with("one_key_row", &provider(schema, "row", "sql", 3), schema, "row", "sql");
}

#[test]
fn key_of_two_columns_and_types_that_look_at_settings() {
    let schema = "create type mood as enum ('sad', 'ok');
create table t (region text, day date, mood mood, took interval, paid timestamptz, primary key (region, day))";
    check("two_keys", schema, "statement", "sql");
}

#[test]
fn row_that_sets_something_off() {
    let schema = "create table t (id int primary key, v text);
create function f() returns trigger language plpgsql as 'begin return null; end';
create trigger f after update on t for each row execute procedure f()";
    check("early", schema, "statement", "sql");
}

#[test]
fn other_formats() {
    check("urlenc", "create table t (id int primary key, v text)", "statement", "urlenc");
    check("json", "create table t (id int primary key, v text)", "statement", "json");
}

#[test]
fn partitions() {
    if Cluster::provider().binaries().major() < 11 {
        return; // No primary keys on partitioned tables.
    }
    let schema = "create table t (id int primary key, v text) partition by range (id);
create table low partition of t for values from (0) to (100)";
    check("partitioned", schema, "statement", "sql");
}

/// Without a key there is no generated function: this is what the generic way executes.
#[test]
fn whole_rows_without_key() {
    let schema = "create table t (id int primary key, v text)";
    let r = provider(schema, "statement", "sql", 1);
    r.provider.sql("alter table t drop constraint t_pkey");
    let mut text = String::new();
    for (operation, level) in
        [("i", "statement"), ("u", "statement"), ("d", "statement"), ("u", "dynamic"), ("d", "dynamic")]
    {
        let statement = r.provider.value(&format!(
            "select londiste.capture_statement('{QUEUE}', 'public.t', 't'::regclass, '{operation}', '{level}')"
        ));
        writeln!(text, "-- operation {operation}, level {level}\n{statement};\n").unwrap();
    }
    let head =
        format!("-- londiste.capture_statement(), event format sql\n{schema};\nalter table t drop constraint t_pkey;");
    compare("whole_row", &r.provider, &head, &text);
}
