//! The Python consumers of PgQ 3 and Londiste 3 read what our triggers write, in all three formats: the libraries' own
//! parsers give back the rows that were written, event by event.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use pretty_assertions::assert_eq;
use serde_json::{Map, Value, json};

use super::skipped;
use crate::support::{Cluster, Database, Job, Scratch, Session, wait_until};

const FORMATS: [(&str, &str); 3] = [("sql", "sqltriga"), ("urlenc", "logutriga"), ("json", "jsontriga")];

const KEY: [&str; 2] = ["id", "Part No"];

/// Every change of table `t` goes to a queue of each format, and, as it was, to table `truth`: with the old and the new
/// row as the text of their values.
const SCHEMA: &str = r#"
    create table t (
        id int, "Part No" text, name text, "Weird=Col" text, data bytea, flag bool, n numeric(10, 3), day date, a text[],
        primary key (id, "Part No"));
    create table truth (nr serial, op text, old json, new json);
    create function as_text(r t) returns json language sql as $$
        select json_build_object('id', format('%s', r.id), 'Part No', r."Part No", 'name', r.name,
            'Weird=Col', r."Weird=Col", 'data', r.data::text, 'flag', case r.flag when true then 't' when false then 'f' end,
            'n', r.n::text, 'day', r.day::text, 'a', r.a::text)
    $$;
    create function tell() returns trigger language plpgsql as $$
    begin
        insert into truth (op, old, new) values (left(tg_op, 1),
            case when tg_op in ('UPDATE', 'DELETE') then as_text(old) end,
            case when tg_op in ('INSERT', 'UPDATE') then as_text(new) end);
        return null;
    end $$;
    create trigger tell after insert or update or delete on t for each row execute procedure tell();
"#;

const CHANGES: [&str; 8] = [
    r#"insert into t select i, 'part ' || i % 3, texts[1 + i % 10], texts[1 + i % 7], decode(md5(i::text), 'hex'), i % 2 = 0,
           i / 7.0, date '1999-12-31' + i, texts[i % 5:i % 9]
       from generate_series(1, 300) i, (select array[null, '', 'plain', 'it''s "quoted"', E'back\\slash \\n \\\\', E'new\nline\ttab\r',
           'a=b&c=d%41+e', 'NULL', 'äöü € 漢字 🐘', '{"a": [1, "\u0041"]}'] as texts) as odd"#,
    "update t set name = 'changed', flag = not flag where id % 3 = 0",
    r#"update t set "Weird=Col" = null, n = null where id % 4 = 0"#,
    "update t set data = '', a = array['x,y', null, '\"', '\\'] where id % 11 = 0",
    "update t set name = name where id % 13 = 0",
    "begin; insert into t values (-1, 'rolled back'); delete from t; rollback",
    "delete from t where id % 5 = 0",
    "begin; insert into t values (-2, ''); savepoint s; delete from t where id = -2; rollback to s;
     update t set name = E'\\\\' where id = -2; commit",
];

const KEY_CHANGE: &str = r#"update t set id = id + 1000, "Part No" = 'it''s \ new' where id % 7 = 0"#;

/// The Python with the libraries, made by `tests/run.sh`.
pub(super) fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python-peers/bin/python");
    let works = Command::new(&python).args(["-c", "import londiste, pgq, psycopg2, skytools"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skipped(&format!("no Python consumers in {}: run tests/run.sh", python.display()));
    None
}

/// A consumer as a daemon.
struct Recorder<'a> {
    python: &'a Path,
    dir: &'a Path,
    queue: String,
}

impl<'a> Recorder<'a> {
    /// Starts the consumer of a queue; `parser` is one of those that the script knows.
    #[track_caller]
    fn start(python: &'a Path, dir: &'a Path, database: &Database, queue: &str, parser: &str) -> Self {
        let text = format!(
            "[recorder]\njob_name = {queue}\ndb = {}\nqueue_name = {queue}\nparser = {parser}\n\
             record = {dir}/{queue}.record\nlogfile = {dir}/{queue}.log\npidfile = {dir}/{queue}.pid\n\
             loop_delay = 0.05\nuse_skylog = 0\n",
            database.conninfo(),
            dir = dir.display(),
        );
        fs::write(dir.join(format!("{queue}.ini")), text).unwrap();
        let recorder = Recorder { python, dir, queue: queue.to_owned() };
        recorder.run("--register");
        recorder.run("-d");
        recorder
    }

    #[track_caller]
    fn run(&self, option: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/recorder.py");
        let mut command = Command::new(self.python);
        command.arg(script).arg("-q").arg(self.file("ini")).arg(option).current_dir(self.dir).env("HOME", self.dir);
        // No __pycache__ beside the script.
        let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
        assert!(output.status.success(), "{option}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.queue))
    }

    /// What it wrote down, in the order of event ids.
    fn record(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.file("record")).unwrap_or_default();
        let mut events: Vec<Value> =
            text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line.strip_suffix('\n')?).ok()).collect();
        events.sort_by_key(|event| event["id"].as_u64());
        events
    }

    /// Waits for as many events as were written, and takes the number and the retries off them.
    #[track_caller]
    fn wait_for(&self, count: usize) -> Vec<Value> {
        let mut events = wait_until(&format!("{count} events have come from {}", self.queue), || {
            let events = self.record();
            if events.len() >= count { Ok(events) } else { Err(format!("{} have", events.len())) }
        });
        let mut retried = 0;
        for event in &mut events {
            let event = event.as_object_mut().unwrap();
            event.remove("id");
            retried += event.remove("retry").and_then(|retry| retry.as_u64()).unwrap();
        }
        println!("{}: {} events, {retried} of them put off", self.queue, events.len());
        assert!(retried > 0, "no event was put off");
        events
    }
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        let log = fs::read_to_string(self.file("log")).unwrap_or_default();
        if thread::panicking() {
            eprintln!("--- the log of the consumer of {}\n{log}", self.queue);
        } else {
            self.run("-s");
            wait_until("the consumer ends", || if self.file("pid").exists() { Err("it runs") } else { Ok(()) });
        }
    }
}

#[test]
fn consumers_read_every_format() {
    let Some(python) = python() else { return };
    let database = Cluster::provider().database();
    let scratch = Scratch::new();
    let ticker = Job::ticker(scratch.path(), "db1-ticker", database.conninfo());
    ticker.run("install");
    database.sql(SCHEMA);
    for (format, trigger) in FORMATS {
        database.sql(&format!(
            "select pgq.create_queue('q_{format}');
             create trigger to_{format} after insert or update or delete on t
                 for each row execute procedure pgq.{trigger}('q_{format}');
             create trigger truncated_{format} after truncate on t
                 for each statement execute procedure pgq.{trigger}('q_{format}')"
        ));
    }
    database.sql("update pgq.queue set queue_ticker_max_lag = '100 ms', queue_ticker_idle_period = '200 ms'");
    ticker.start();
    let recorders = FORMATS.map(|(format, _)| {
        (format, Recorder::start(&python, scratch.path(), &database, &format!("q_{format}"), format))
    });

    for sql in CHANGES {
        database.sql(sql);
    }
    // The formats of whole rows have no word for a changed key; the triggers refuse it.
    database.sql(&format!(
        "alter table t disable trigger to_urlenc; alter table t disable trigger to_json; {KEY_CHANGE};
         alter table t enable trigger to_urlenc; alter table t enable trigger to_json"
    ));
    let truth = truth(&database);
    database.sql("truncate t");
    for (format, recorder) in &recorders {
        let told = truth.iter().filter(|change| *format == "sql" || !change.changes_key());
        let expected: Vec<Value> = told.map(|change| change.event(format)).collect();
        let mut events = recorder.wait_for(expected.len() + 1);
        assert_eq!(events.pop(), Some(truncation(format)));
        for (nr, (event, expected)) in events.iter().zip(&expected).enumerate() {
            assert_eq!(event, expected, "event {nr} in format {format}");
        }
        assert_eq!(events.len(), expected.len());
    }
}

#[test]
fn londiste_3_makes_of_captured_events_what_was_written() {
    let Some(python) = python() else { return };
    let (provider, copy) = (Cluster::provider().database(), Cluster::subscriber().database());
    let scratch = Scratch::new();
    let ticker = Job::ticker(scratch.path(), "db1-ticker", provider.conninfo());
    ticker.run("install");
    for database in [&provider, &copy] {
        database.sql(SCHEMA);
        database.sql("alter table t disable trigger tell");
    }
    for (format, _) in FORMATS {
        let queue = format!("q_{format}");
        let job =
            Job::londiste(scratch.path(), &format!("job_{format}"), [provider.conninfo(), copy.conninfo()], &queue)
                .set("event_format", format);
        job.run("provider install");
        job.run("provider add public.t");
    }
    provider.sql(
        "alter table t enable trigger tell;
         update pgq.queue set queue_ticker_max_lag = '100 ms', queue_ticker_idle_period = '200 ms'",
    );
    ticker.start();
    let recorders = FORMATS.map(|(format, _)| {
        (format, Recorder::start(&python, scratch.path(), &provider, &format!("q_{format}"), "londiste"))
    });
    for sql in CHANGES.iter().chain([&KEY_CHANGE]) {
        provider.sql(sql);
    }

    let mut truth = truth(&provider);
    truth.retain(|change| change.old != change.new);
    for (format, recorder) in &recorders {
        let told: Vec<usize> =
            truth.iter().map(|change| if *format != "sql" && change.changes_key() { 2 } else { 1 }).collect();
        let count: usize = told.iter().sum();
        let events = recorder.wait_for(count);
        assert_eq!(events.len(), count, "{format}");
        let session = copy.session();
        session
            .sql("truncate t; prepare look (int, text) as select as_text(t) from t where id = $1 and \"Part No\" = $2");
        let mut events = events.iter();
        for (change, count) in truth.iter().zip(told) {
            for event in events.by_ref().take(count) {
                session.sql(event["sql"].as_str().unwrap());
            }
            assert_eq!(row_at(&session, &change.new), change.new, "{format}: {change:?}");
            if change.op == "D" || change.changes_key() {
                assert_eq!(row_at(&session, &change.old), Row::new(), "{format}: {change:?}");
            }
        }
        assert_eq!(session.rows(ALL), provider.rows(ALL), "{format}");
    }
}

const ALL: &str = "select as_text(t) from t order by id, \"Part No\"";

/// The row with the key of this one; empty where there is none, or the key is none.
#[track_caller]
fn row_at(session: &Session, row: &Row) -> Row {
    let Some(id) = row.get("id") else { return Row::new() };
    let part = row["Part No"].as_str().unwrap().replace('\'', "''");
    let found = session.column(&format!("execute look ({}, '{part}')", id.as_str().unwrap()));
    found.first().map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default()
}

type Row = Map<String, Value>;

/// A change of a row.
#[derive(Debug)]
struct Change {
    op: String,
    old: Row,
    new: Row,
}

fn truth(database: &Database) -> Vec<Change> {
    let rows = database.rows("select op, coalesce(old, '{}'), coalesce(new, '{}') from truth order by nr");
    let row = |text: &str| serde_json::from_str::<Row>(text).unwrap();
    let changes: Vec<Change> = rows
        .iter()
        .map(|values| Change { op: values[0].clone(), old: row(&values[1]), new: row(&values[2]) })
        .collect();
    for op in ["I", "U", "D"] {
        assert!(changes.iter().filter(|change| change.op == op).count() > 50, "few changes of kind {op}");
    }
    changes
}

impl Change {
    /// What a consumer must understand of it.
    fn event(&self, format: &str) -> Value {
        let row = if self.op == "D" { &self.old } else { &self.new };
        match format {
            "sql" => {
                let key = if self.op == "I" { Row::new() } else { key_of(&self.old) };
                json!({"op": self.op, "table": "public.t", "key": key, "row": self.changed()})
            }
            "urlenc" => json!({"op": self.op, "table": "public.t", "pkey": KEY, "row": row}),
            _ => {
                let row: Row = row.iter().map(|(name, value)| (name.clone(), as_json(name, value))).collect();
                json!({"op": self.op, "table": "public.t", "pkey": KEY, "names": ["public", "t"], "row": row})
            }
        }
    }

    fn changes_key(&self) -> bool {
        self.op == "U" && key_of(&self.old) != key_of(&self.new)
    }

    /// The columns that the SQL format brings: those that differ; an update that changes nothing sets the first column of
    /// its key.
    fn changed(&self) -> Row {
        let mut row = self.new.clone();
        row.retain(|name, value| self.old.get(name) != Some(value));
        if self.op == "U" && row.is_empty() {
            row.insert(KEY[0].to_owned(), self.new[KEY[0]].clone());
        }
        row
    }
}

fn truncation(format: &str) -> Value {
    match format {
        "json" => json!({"op": "T", "table": "public.t", "pkey": KEY, "names": ["public", "t"], "row": {}}),
        _ => json!({"op": "R", "table": "public.t"}),
    }
}

fn key_of(row: &Row) -> Row {
    KEY.iter().map(|name| ((*name).to_owned(), row[*name].clone())).collect()
}

/// In JSON, integers and booleans are not text.
fn as_json(name: &str, value: &Value) -> Value {
    match (name, value.as_str()) {
        ("id", Some(text)) => json!(text.parse::<i64>().unwrap()),
        ("flag", Some(text)) => json!(text == "t"),
        _ => value.clone(),
    }
}
