//! Names that mean something to SQL, to a shell, to a format string or to a terminal, through every command of both programs: the name
//! does what any name does, and nothing else happens.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::support::{Job, Output, Program, Replication, assert_same_rows, wait_until};

/// Names of tables, columns, sequences, constraints, triggers, queues, consumers and roles.
fn names() -> Vec<String> {
    let long = format!("{}x", "é".repeat(31));
    assert_eq!(long.len(), 63);
    let fixed = [
        "a\"b",
        "x\"; drop table victim; --",
        "x'); drop table victim; --",
        "back\\slash",
        "%s%n %(job_name)s {} %1$s",
        "$1 $$ ${HOME} $(id)",
        "-leading",
        "--all",
        "dot.ted.name",
        "Select",
        ":name?",
    ];
    fixed.into_iter().map(str::to_owned).chain([long]).collect()
}

/// Control characters, which queues and consumers may not have.
const CONTROL: [&str; 3] = ["new\nline", "tab\tin", "esc\u{1b}[2J"];

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(name: &str) -> String {
    format!("E'{}'", name.replace('\\', "\\\\").replace('\'', "''"))
}

/// The words of all commands, as the help of a program lists them.
fn commands(section: &str) -> BTreeSet<String> {
    let help = Program::new(["--help"]).run().stdout;
    let part = help.split("\n\nOptions:").next().unwrap().split(section).nth(1).unwrap();
    let part = part.split("\n\nreplication").next().unwrap();
    let lines = part.lines().filter_map(|line| line.strip_prefix("  "));
    let words = |line: &str| {
        let words: Vec<&str> = line.split("  ").next().unwrap().split(' ').collect();
        let is_word = |word: &&&str| word.starts_with(|c: char| c.is_ascii_lowercase());
        words.iter().take_while(is_word).copied().collect::<Vec<_>>().join(" ")
    };
    lines.map(words).collect()
}

/// Runs commands of a job and remembers which.
struct Commands<'a> {
    job: &'a Job,
    used: BTreeSet<String>,
}

impl Commands<'_> {
    fn of(job: &Job) -> Commands<'_> {
        Commands { job, used: BTreeSet::new() }
    }

    /// Runs a command with names as its arguments. Messages have no control characters whatever the names have.
    #[track_caller]
    fn run(&mut self, command: &str, names: &[&str], status: i32) -> Output {
        self.run_with(command, &[], names, status)
    }

    #[track_caller]
    fn run_with(&mut self, command: &str, options: &[&str], names: &[&str], status: i32) -> Output {
        self.used.insert(command.to_owned());
        let words = command.split(' ').chain(options.iter().copied()).chain(["--"]).chain(names.iter().copied());
        let output = self.job.program(words).status(status).run();
        let is_plain = |line: &str| !line.chars().any(|c| c.is_control() && c != '\t');
        assert!(output.stderr.lines().all(is_plain), "{command} {names:?}\n{}", output.stderr);
        output
    }

    /// Every command of the help was run.
    #[track_caller]
    fn assert_complete(&self, section: &str) {
        assert_eq!(self.used, commands(section));
    }
}

/// Everything that a statement inside of a name could have made or dropped.
fn relations(r: &Replication) -> Vec<String> {
    let sql =
        "select relname::text from pg_class where relkind <> 't' and relnamespace = 'public'::regnamespace order by 1";
    [&r.provider, &r.subscriber].into_iter().flat_map(|side| side.column(sql)).collect()
}

#[test]
fn queues_consumers_and_roles_of_any_name() {
    let r = Replication::new().with_schema("create table victim (id int)");
    let mut ticker = Commands::of(&r.ticker);
    ticker.run("install", &[], 0);
    for name in names() {
        let name = name.as_str();
        ticker.run("create", &[name], 0);
        ticker.run("register", &[name, name], 0);
        assert_eq!(
            r.provider.column("select queue_name || consumer_name from pgq.get_consumer_info()"),
            [format!("{name}{name}")]
        );
        assert!(ticker.run("config", &[name], 0).stdout.starts_with(&format!("{name}\n")));
        ticker.run("config", &[name, "ticker_max_count=7"], 0);
        assert_eq!(r.provider.value("select queue_ticker_max_count from pgq.queue"), "7");
        r.provider.sql(&format!("select pgq.insert_event({0}, {0}, {0})", literal(name)));
        let stdout = ticker.run("events", &[name], 0).stdout;
        // As COPY writes texts.
        assert!(stdout.contains(&name.replace('\\', "\\\\")), "{stdout}");
        ticker.run_with("events", &["--json", &format!("--consumer={name} "), "--limit", "3"], &[name], 1);
        ticker.run("failed", &[name, name], 0);
        ticker.run_with("failed", &["--retry", "1"], &[name, name], 1);
        ticker.run("rebase", &[name], 0);
        assert!(ticker.run("status", &[], 0).stdout.contains(name));
        let json = ticker.run_with("status", &["--json"], &[], 0).stdout;
        assert!(json.contains(serde_json::to_string(name).unwrap().trim_matches('"')), "{json}");
        // The ticker does not run.
        let line = ticker.run("health", &[], 2).stdout;
        assert_eq!((line.starts_with("not good: "), line.lines().count()), (true, 1), "{line}");
        let found = ticker.run_with("doctor", &["-v"], &[], 2).stdout;
        assert!(found.contains(&format!("queue {name} ")), "{found}");
        ticker.run("drop", &[name], 1);
        ticker.run("unregister", &[name, name], 0);
        ticker.run("drop", &[name], 0);
        let role = format!("{}{}", r.provider.name(), name.chars().take(20).collect::<String>());
        r.provider.sql(&format!("create role {}", ident(&role)));
        ticker.run("grant", &[&role, "reader"], 0);
        let usage = format!("select has_schema_privilege({}, 'pgq', 'usage')", literal(&role));
        assert_eq!(r.provider.value(&usage), "t", "{role}");
        ticker.run("revoke", &[&role, "reader"], 0);
        r.provider.sql(&format!("drop role {}", ident(&role)));
    }
    for name in CONTROL {
        for (command, arguments) in [
            ("create", &[name][..]),
            ("drop", &[name]),
            ("register", &[name, name]),
            ("unregister", &[name, name]),
            ("config", &[name]),
            ("config", &[name, "ticker_max_count=7"]),
            ("rebase", &[name]),
            ("events", &[name]),
            ("failed", &[name, name]),
            ("grant", &[name, "reader"]),
            ("revoke", &[name, "reader"]),
        ] {
            ticker.used.insert(command.to_owned());
            let output = r.ticker.program([command, "--"].into_iter().chain(arguments.iter().copied())).output();
            assert_ne!((command, output.status), ("create", 0));
            assert!(
                !output.stderr.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')),
                "{command}: {}",
                output.stderr
            );
            assert!(!output.stderr.lines().any(|line| line.starts_with("line")), "{command}: {}", output.stderr);
        }
    }
    assert_eq!(r.provider.value("select count(*) from pgq.queue"), "0");
    r.ticker.start();
    r.ticker.stop();
    ticker.used.insert("ticker".to_owned());
    ticker.assert_complete("ticker and queues");
    assert_eq!(relations(&r), ["victim", "victim"]);
}

/// Tables with a column and a foreign key of the table's name, and sequences.
fn schema(names: &[&str]) -> String {
    let mut sql = String::from(
        "create table victim (id int primary key); insert into victim values (1);
         create function keep() returns trigger language plpgsql as 'begin return new; end';\n",
    );
    for name in names {
        let (quoted, seq) = (ident(name), ident(&reversed(name)));
        let _ = writeln!(
            sql,
            "create table {quoted} (id int primary key, {quoted} text, victim int constraint {quoted} references victim);
             create sequence {seq};"
        );
    }
    sql
}

/// Another name of the same kind, for a sequence.
fn reversed(name: &str) -> String {
    name.chars().rev().collect()
}

/// A name as a command takes it: the first dot ends the schema.
fn typed(name: &str) -> String {
    if name.contains('.') { format!("public.{name}") } else { name.to_owned() }
}

/// The commands that list names write them as they are.
fn assert_listed(londiste: &mut Commands<'_>, names: &[&str], seqs: &[&str]) {
    let (listed, listed_seqs) =
        (londiste.run("provider tables", &[], 0).stdout, londiste.run("provider seqs", &[], 0).stdout);
    let missing = londiste.run("subscriber missing", &[], 0).stdout;
    for (name, seq) in names.iter().zip(seqs) {
        assert!(listed.contains(&format!("public.{name}\n")), "{listed}");
        let seq = format!("public.{}\n", seq.trim_start_matches("public."));
        assert!(listed_seqs.contains(&seq), "{listed_seqs}");
        assert!(missing.contains(&format!("public.{name}\n")) && missing.contains(&seq), "{missing}");
    }
}

/// Makes tables of the subscriber unlogged, and lets the doctor's statements make them logged again.
fn mend_unlogged_tables(londiste: &mut Commands<'_>, r: &Replication, names: &[&str]) {
    for name in names {
        r.subscriber.sql(&format!("alter table {} set unlogged", ident(name)));
    }
    let unlogged = "select count(*) from pg_class where relpersistence = 'u' and relnamespace = 'public'::regnamespace and relkind = 'r'";
    assert_eq!(r.subscriber.value(unlogged), names.len().to_string());
    assert!(londiste.run("health", &[], 0).stdout.starts_with("good: "));
    londiste.used.insert("doctor".to_owned());
    let document = londiste.job.program(["doctor", "--json"]).output().stdout;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    for finding in document["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == "unlogged") {
        let Some(fix) = finding["fix"].as_str() else { continue };
        r.subscriber.sql(fix.strip_prefix("on subscriber: ").unwrap());
    }
    assert_eq!(r.subscriber.value(unlogged), "0", "{document}");
}

const USER_TRIGGERS: &str = "select count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid
     where not t.tgisinternal and c.relnamespace = 'public'::regnamespace";

/// Writers go over to the subscriber, and back.
fn go_there_and_back(londiste: &mut Commands<'_>, r: &Replication, names: &[&str]) {
    londiste.run("switchover", &[], 0);
    for name in names {
        let (table, value) = (ident(name), literal(name));
        assert_eq!(r.provider.error(&format!("delete from {table}")).code, "25006");
        r.subscriber.sql(&format!("insert into {table} values (31, {value}, 1)"));
    }
    londiste.run("switchback", &[], 0);
    r.londiste.run("switchover finish");
}

/// What would be set up is there; what would go over has nowhere to go, since there was no switchover.
fn look_at_plans(londiste: &mut Commands, r: &Replication) {
    let plan = londiste.run_with("up", &["--plan"], &[], 0).stdout;
    assert!(plan.contains("already there"), "{plan}");
    londiste.run_with("down", &["--plan"], &[], 0);
    londiste.run_with("subscriber follow", &["--provider", r.provider.conninfo()], &[], 1);
}

#[test]
fn tables_columns_and_sequences_of_any_name() {
    let all: Vec<String> = names().into_iter().chain(CONTROL.map(str::to_owned)).collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let seqs: Vec<String> = names.iter().map(|name| typed(&reversed(name))).collect();
    let seqs: Vec<&str> = seqs.iter().map(String::as_str).collect();
    let typed: Vec<String> = names.iter().map(|name| typed(name)).collect();
    let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
    let mut r = Replication::new().with_schema(&schema(&names));
    r.subscriber.sql("delete from victim");
    for name in &names {
        let name = ident(name);
        r.subscriber
            .sql(&format!("create trigger {name} before insert on {name} for each row execute procedure keep()"));
    }
    let before = relations(&r);
    r.londiste.configure("pgq_queue_name", "x\"; drop table victim; -- ' \\ %%s é");
    r.londiste.configure("pgq_consumer_id", "c\"; drop table victim; -- ' \\ %%s é");
    let consumer = "c\"; drop table victim; -- ' \\ %s é";
    r.ticker.run("install");
    r.ticker.start();
    let insert = |from: u32| {
        for name in &names {
            let (table, value) = (ident(name), literal(name));
            r.provider.sql(&format!("insert into {table} values ({from}, {value}, 1), ({}, {value}, 1)", from + 1));
        }
    };
    let tables = || names.iter().map(|name| ident(name)).chain(["victim".to_owned()]).collect::<Vec<_>>();
    let in_sync = || {
        crate::support::replay_until_in_sync(&r.provider, consumer);
        assert_same_rows(&r.provider, &r.subscriber, &tables());
    };
    insert(1);
    let mut londiste = Commands::of(&r.londiste);
    londiste.run("provider install", &[], 0);
    r.provider.sql("update pgq.queue set queue_ticker_max_lag = '200 ms', queue_ticker_idle_period = '200 ms'");
    londiste.run("subscriber install", &[], 0);
    let with_victim: Vec<&str> = typed.iter().copied().chain(["victim"]).collect();
    londiste.run("provider add", &with_victim, 0);
    londiste.run("provider add-seq", &seqs, 0);
    assert_listed(&mut londiste, &names, &seqs);
    londiste.run("subscriber add", &with_victim, 0);
    londiste.run("subscriber add-seq", &seqs, 0);
    londiste.run("subscriber register", &[], 0);
    // Of the two jobs that copy, the first one ends by itself.
    londiste.used.insert("copy".to_owned());
    r.londiste.start();
    londiste.used.insert("replay".to_owned());
    r.wait_until_ok();
    r.londiste.run("copy");
    insert(11);
    for name in &names {
        let name = ident(name);
        r.provider.sql(&format!("update {name} set {name} = 'new' where id = 11; delete from {name} where id = 12"));
    }
    in_sync();
    londiste.run("subscriber wait-sync", &with_victim, 0);
    londiste.run("provider refresh", &typed, 0);
    londiste.run("subscriber check", &[], 0);
    londiste.run("subscriber tables", &[], 0);
    londiste.run_with("subscriber tables", &["--json", "--progress"], &[], 0);
    londiste.run("subscriber seqs", &[], 0);
    let active = londiste.run("subscriber fkeys", &["active"], 0).stdout;
    assert!(active.contains("dot.ted.name"), "{active}");
    londiste.run("subscriber triggers", &["active"], 0);
    for (table, name) in typed.iter().zip(&names) {
        londiste.run("subscriber restore-triggers", &[table, name], 0);
    }
    londiste.run("subscriber resync", &typed, 0);
    r.wait_until_ok();
    insert(21);
    in_sync();
    assert!(londiste.run("subscriber status", &[], 0).stdout.contains("%s"));
    londiste.run_with("subscriber status", &["--json"], &[], 0);
    londiste.run("subscriber skip-event", &["1"], 1);
    londiste.run_with("subscriber skip-event", &[], &["1; drop table victim"], 2);
    londiste.run("compare", &with_victim, 0);
    londiste.run_with("compare", &["--checksum"], &with_victim, 0);
    for name in &names {
        r.subscriber.sql(&format!("delete from {} where id = 21", ident(name)));
    }
    londiste.run_with("repair", &["--output-dir", r.scratch().path().to_str().unwrap()], &typed, 0);
    londiste.run_with("repair", &["--apply"], &typed, 0);
    in_sync();
    look_at_plans(&mut londiste, &r);
    go_there_and_back(&mut londiste, &r, &names);
    in_sync();
    mend_unlogged_tables(&mut londiste, &r, &names);
    londiste.run("subscriber remove-seq", &seqs, 0);
    londiste.run("provider remove-seq", &seqs, 0);
    londiste.run("subscriber remove", &typed, 0);
    londiste.run("provider remove", &typed, 0);
    let left = "select count(*) from londiste.subscriber_table";
    wait_until("the tables have left the set", || match r.subscriber.value(left).as_str() {
        "1" => Ok(()),
        count => Err(count.to_owned()),
    });
    r.londiste.stop();
    londiste.run("subscriber unregister", &[], 0);
    r.londiste.program(["replay", "--rewind"]).output();
    assert_eq!(relations(&r), before);
    assert_eq!(r.subscriber.value(USER_TRIGGERS), names.len().to_string());
    londiste.assert_complete("replication, for an INI");
}
