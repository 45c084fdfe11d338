//! Londiste 3.12 as a whole, both nodes on our schema `pgq`, with our ticker: its tables have the queue triggers of that
//! schema, one table in each format.
//!
//! The extensions `pgq_node` and `londiste` require the extension `pgq`. What they consist of is plain SQL, and that
//! works on any schema `pgq`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::python::python;
use super::skipped;
use crate::support::{Cluster, Database, Job, Scratch, compare, wait_until};

/// The tables, and Londiste's letter for the trigger of their format.
const TABLES: [(&str, &str); 3] = [("public.by_sql", "Q"), ("public.by_urlenc", "L"), ("public.by_json", "J")];

/// The SQL of an extension, from whichever major version of PostgreSQL the distribution has it for.
fn extension_sql(name: &str) -> Option<String> {
    let majors = fs::read_dir("/usr/share/postgresql").into_iter().flatten();
    let dirs = majors.filter_map(|major| Some(major.ok()?.path().join("extension")));
    let mut files: Vec<PathBuf> = dirs
        .flat_map(|dir| fs::read_dir(dir).into_iter().flatten())
        .filter_map(|file| Some(file.ok()?.path()))
        .collect();
    // Not the upgrades: their names have two versions.
    files.retain(|file| {
        let name_of_file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let version = name_of_file.strip_prefix(&format!("{name}--")).and_then(|rest| rest.strip_suffix(".sql"));
        version.is_some_and(|version| !version.contains("--"))
    });
    let sql = fs::read_to_string(files.first()?).ok()?;
    // What only an extension's script may call.
    Some(sql.lines().filter(|line| !line.contains("pg_extension_config_dump")).collect::<Vec<_>>().join("\n"))
}

/// A node: a database and its ini file.
struct Node<'a> {
    python: &'a Path,
    scratch: &'a Scratch,
    name: &'static str,
    database: Database,
}

impl<'a> Node<'a> {
    #[track_caller]
    fn new(
        python: &'a Path,
        scratch: &'a Scratch,
        cluster: &Cluster,
        name: &'static str,
        extensions: &[String],
    ) -> Self {
        let database = cluster.database();
        Job::ticker(scratch.path(), &format!("{name}-ticker"), database.conninfo()).run("install");
        for sql in extensions {
            database.sql(sql);
        }
        for (table, _) in TABLES {
            database.sql(&format!(
                "create table {table} (id int primary key, name text, data bytea, flag bool, n numeric, at timestamptz)"
            ));
        }
        let ini = format!(
            "[londiste]\njob_name = {name}\ndb = {}\nqueue_name = q\nlogfile = {dir}/{name}.log\n\
             pidfile = {dir}/{name}.pid\nloop_delay = 0.05\nuse_skylog = 0\n",
            database.conninfo(),
            dir = scratch.path().display(),
        );
        scratch.write(&format!("{name}.ini"), &ini);
        Node { python, scratch, name, database }
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.scratch.path().join(format!("{}.{extension}", self.name))
    }

    #[track_caller]
    fn run(&self, args: &[&str]) {
        let mut command = Command::new(self.python.with_file_name("londiste"));
        command.arg("-q").arg(self.file("ini")).args(args).current_dir(self.scratch.path());
        let output = command.env("HOME", self.scratch.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of {}\n{}", self.name, fs::read_to_string(self.file("log")).unwrap_or_default());
        }
        if self.file("pid").exists() {
            self.run(&["-s"]);
            wait_until("the worker ends", || if self.file("pid").exists() { Err("it runs") } else { Ok(()) });
        }
    }
}

#[track_caller]
fn wait_until_same(provider: &Node<'_>, subscriber: &Node<'_>, rows: usize) {
    wait_until("the tables are the same", || {
        match compare(&provider.database, &subscriber.database, &TABLES.map(|(table, _)| table)) {
            Ok(count) if count == rows => Ok(()),
            Ok(count) => Err(format!("{count} rows")),
            Err(difference) => Err(difference),
        }
    });
}

#[test]
fn londiste_3_replicates_through_our_queue_in_every_format() {
    let Some(python) = python() else { return };
    let (Some(pgq_node), Some(londiste)) = (extension_sql("pgq_node"), extension_sql("londiste")) else {
        skipped(
            "no SQL of pgq_node and londiste 3 (apt-get install postgresql-MAJOR-pgq-node postgresql-MAJOR-londiste-sql)",
        );
        return;
    };
    let extensions = [pgq_node, londiste];
    let scratch = Scratch::new();
    let provider = Node::new(&python, &scratch, Cluster::provider(), "root", &extensions);
    let subscriber = Node::new(&python, &scratch, Cluster::subscriber(), "leaf", &extensions);
    provider.run(&["create-root", "root", provider.database.conninfo()]);
    let from = format!("--provider={}", provider.database.conninfo());
    subscriber.run(&["create-leaf", "leaf", subscriber.database.conninfo(), &from]);
    provider.database.sql("update pgq.queue set queue_ticker_max_lag = '50 ms', queue_ticker_idle_period = '100 ms'");
    let ticker = Job::ticker(scratch.path(), "root-ticker", provider.database.conninfo());
    ticker.start();
    for (table, letter) in TABLES {
        provider.database.sql(&format!("insert into {table} select i, 'before ' || i from generate_series(1, 100) i"));
        provider.run(&["add-table", table, &format!("--trigger-flags=AIUD{letter}")]);
        subscriber.run(&["add-table", table]);
    }
    for node in [&provider, &subscriber] {
        node.run(&["worker", "-d"]);
    }
    // Its copies wait 10 s between two tables.
    wait_until("the tables are copied", || {
        let states = subscriber.database.column("select coalesce(merge_state, '-') from londiste.table_info");
        if states == ["ok"; 3] { Ok(()) } else { Err(states.join(", ")) }
    });

    let change = |sql: &str| {
        for (table, _) in TABLES {
            provider.database.sql(&sql.replace("TABLE", table));
        }
    };
    change(
        r#"insert into TABLE select i, texts[1 + i % 10], decode(md5(i::text), 'hex'), i % 2 = 0, i / 7.0, timestamptz '1999-12-31' + i * interval '1 day 3.14 s'
           from generate_series(101, 400) i, (select array[null, '', 'plain', 'it''s "quoted"', E'back\\slash \\n \\\\', E'new\nline\ttab\r',
               'a=b&c=d%41+e', 'NULL', 'äöü € 漢字 🐘', '{"a": [1, "\u0041"]}'] as texts) as odd"#,
    );
    change("update TABLE set name = 'changed', flag = not flag where id % 3 = 0");
    change("update TABLE set data = null, n = n + 0.5, at = null where id % 4 = 0");
    change("delete from TABLE where id % 5 = 0");
    change("begin; insert into TABLE values (-1, 'rolled back'); delete from TABLE; rollback");
    wait_until_same(&provider, &subscriber, 3 * 320);
    let types = provider.database.column(
        "select distinct ev_extra1 || ' ' || left(ev_type, 6) from pgq.event_1 where ev_extra1 like 'public.%' order by 1",
    );
    assert_eq!(
        types,
        [
            r#"public.by_json {"op":"#,
            "public.by_sql D",
            "public.by_sql I",
            "public.by_sql U",
            "public.by_urlenc D:id",
            "public.by_urlenc I:id",
            "public.by_urlenc U:id",
        ]
    );

    change("truncate TABLE");
    change("insert into TABLE values (1, 'after the truncate')");
    wait_until_same(&provider, &subscriber, 3);
}
