//! Settings of database and role that change texts, the meaning of statements or their fate: nothing of it is seen in the rows, nor
//! in what the programs say.

use std::time::Duration;

use crate::support::hostile::{self, DEADLY};
use crate::support::types::{self, OWN, SCHEMA};
use crate::support::{Cluster, Replication, Shutdown, effort, wait_until};

/// Tries both ways of rows, and each setting alone too, where it is `all`.
const EFFORT: &str = "SETTINGS_EFFORT";

/// Tables by the format of their events.
const TABLES: [(&str, &[&str]); 3] =
    [("sql", &["plain", "own_sql"]), ("urlenc", &["own_urlenc"]), ("json", &["own_json"])];

/// Types that have no binary form, or a server refuses the binary form of empty values of them.
const NO_BINARY: [&str; 4] = ["aclitem", "tsquery", "int2vector", "oidvector"];

/// Columns of a table: each with its type and the literals of values.
type Columns = Vec<(String, Vec<String>)>;

/// A replication whose programs live with the settings on both sides.
struct Hostile {
    r: Replication,
    /// Tables with the types of their columns.
    tables: Vec<(&'static str, Columns)>,
    context: String,
}

impl Hostile {
    #[track_caller]
    fn new(capture: &str, apply: &str, settings: &[(&str, &str)]) -> Hostile {
        let mut r = Replication::new().with_schema(SCHEMA);
        let mut all = types::columns(r.provider.major());
        // No setting changes how long a text is.
        for (_, values) in &mut all {
            values.retain(|value| !value.contains("repeat("));
        }
        let plain: Columns = all
            .iter()
            .filter(|(name, _)| {
                let element = name.trim_end_matches("[]");
                // What may go in binary form.
                !OWN.contains(&element) && !element.starts_with("reg") && !NO_BINARY.contains(&element)
            })
            .cloned()
            .collect();
        let mut tables = Vec::new();
        for name in TABLES.iter().flat_map(|(_, names)| *names) {
            let columns = if *name == "plain" { &plain } else { &all };
            let definition: Vec<String> =
                columns.iter().enumerate().map(|(nr, (name, _))| format!("c{nr} {name}")).collect();
            r = r.with_table(name, &format!("id int primary key, {}", definition.join(", ")));
            tables.push((*name, columns.clone()));
        }
        let provider = hostile::everywhere(Cluster::provider(), &r.provider, settings);
        let subscriber = hostile::everywhere(Cluster::subscriber(), &r.subscriber, settings);
        r.ticker.configure("db", &provider);
        r.londiste.configure("provider_db", &provider);
        r.londiste.configure("subscriber_db", &subscriber);
        r.londiste.configure("capture", capture);
        r.londiste.configure("apply", apply);
        Hostile { r, tables, context: format!("capture {capture}, apply {apply}, {settings:?}") }
    }

    /// Inserts rows with all values.
    #[track_caller]
    fn insert(&self, first: usize) {
        let session = self.r.provider.session();
        for (table, columns) in &self.tables {
            let rows: Vec<String> = (0..7)
                .map(|nr| {
                    let values: Vec<&str> = columns
                        .iter()
                        .map(|(_, values)| if nr == 6 { "null" } else { values[nr % values.len()].as_str() })
                        .collect();
                    format!("({}, {})", first + nr, values.join(", "))
                })
                .collect();
            session.sql(&format!("insert into {table} values {}", rows.join(", ")));
        }
    }

    /// Changes rows from this number on.
    #[track_caller]
    fn change(&self, first: usize) {
        let session = self.r.provider.session();
        for (table, columns) in &self.tables {
            let set: Vec<String> = (0..columns.len()).map(|nr| format!("c{nr} = n.c{nr}")).collect();
            session.sql(&format!(
                "update {table} t set {} from {table} n where t.id in ({first}, {first} + 6) and n.id = {first} + {first} + 6 - t.id;
                 update {table} t set c7 = n.c7, c3 = n.c3 from {table} n where t.id = {first} + 1 and n.id = {first} + 2;
                 delete from {table} where id = {first} + 4",
                set.join(", ")
            ));
        }
    }

    #[track_caller]
    fn assert_equal(&self, when: &str) {
        self.r.replay_until_in_sync();
        let sides = [&self.r.provider, &self.r.subscriber];
        for (table, columns) in &self.tables {
            types::assert_equal(sides, table, columns, &format!("{when}, {}", self.context));
        }
    }

    /// Everything that the programs do with tables.
    #[track_caller]
    fn check(&mut self) {
        self.insert(0);
        self.r.subscriber.log_statements();
        self.r.install();
        self.r.start();
        for (format, names) in TABLES {
            self.r.londiste.configure("event_format", format);
            self.r.londiste.run(&format!("provider add {}", names.join(" ")));
        }
        let r = &self.r;
        r.londiste.run("subscriber add --all");
        r.wait_until_ok();
        self.assert_equal("copied");
        let log = Cluster::subscriber().log();
        for (table, form) in [("plain", "binary"), ("own_sql", "text")] {
            let copied = log.lines().any(|line| {
                // Other tests have tables of these names on the server.
                line.contains(&format!(" {} ", r.subscriber.name()))
                    && line.contains(&format!("{table}\""))
                    && line.contains(&format!("from stdin (format {form},"))
            });
            assert!(copied, "{table} was not copied as {form}");
        }
        self.insert(100);
        self.change(0);
        self.change(100);
        self.assert_equal("replayed");

        for (table, _) in &self.tables {
            for database in [&r.subscriber, &r.provider] {
                database.sql(&format!(
                    "alter table {table} add column later timestamptz, add column more float8[], drop column c1"
                ));
            }
            r.provider.sql(&format!("update {table} set later = '2026-02-03 04:05:06.7+00', more = '{{0.1,NULL}}'"));
        }
        r.londiste.run("provider refresh --all");
        for (table, _) in &self.tables {
            r.provider.sql(&format!("update {table} set more = array[1.0 / 3]::float8[] where id > 2"));
        }
        r.assert_in_sync();

        r.londiste.run("compare");
        r.londiste.run("compare --checksum");
        for (table, _) in &self.tables {
            r.subscriber.sql(&format!(
                "update {table} set later = later + '1 s', c0 = null where id = 0; delete from {table} where id = 2;
                 insert into {table} (id, more) values (77, '{{NULL}}')"
            ));
        }
        r.londiste.program(["compare", "--checksum"]).status(1).run();
        r.londiste.run("repair --apply");
        r.londiste.run("compare --checksum");
        r.assert_in_sync();
        r.londiste.run("subscriber check");
    }
}

#[track_caller]
fn check(capture: &str, apply: &str) {
    let all = [&hostile::quick()[..], DEADLY].concat();
    Hostile::new(capture, apply, &all).check();
    if std::env::var(EFFORT).is_ok_and(|effort| effort == "all") {
        for setting in hostile::hostile().iter().chain(DEADLY) {
            eprintln!("{setting:?}");
            Hostile::new(capture, apply, &[*setting]).check();
        }
    }
}

/// Rows that go by sets, or one by one.
#[test]
fn rows_are_the_same_under_any_settings() {
    let ways = [("statement", "set"), ("row", "row")];
    let (first, step) = effort::cases(EFFORT, ways.len());
    for (capture, apply) in ways.into_iter().skip(first).step_by(step) {
        check(capture, apply);
    }
}

/// Where the servers of both sides do not wait until a commit is on disk, no tick and no batch is lost that somebody was told of.
#[test]
fn what_is_done_survives_a_crash_of_the_server_that_commits_late() {
    let cluster = |name: &str| {
        Cluster::builder().name(name).conf("synchronous_commit = off").conf("wal_writer_delay = 10s").start()
    };
    let (provider, subscriber) = (cluster("late-provider"), cluster("late-subscriber"));
    let r = Replication::between(&provider, &subscriber).with_table("t", "id int primary key").up();
    for id in 0..4 {
        r.provider.sql(&format!("insert into t values ({id})"));
        r.replay_until_in_sync();
        let crashed = if id % 2 == 0 { &subscriber } else { &provider };
        crashed.stop(Shutdown::Immediate);
        crashed.start();
        wait_until("replay goes on", || r.provider.try_rows("select 1").map(drop).map_err(|e| e.to_string()));
        assert_eq!(r.provider.value(&format!("select count(*) from t where id = {id}")), "1");
        r.assert_in_sync();
    }
}

/// A server that commits late may forget, in a crash, what was copied from it a moment ago.
#[test]
fn what_is_copied_survives_a_crash_of_the_provider_that_commits_late() {
    let provider = Cluster::builder()
        .name("late-provider")
        .conf("synchronous_commit = off")
        .conf("wal_writer_delay = 10s")
        .conf("autovacuum = off")
        .start();
    let r = Replication::between(&provider, Cluster::subscriber()).with_table("t", "id int primary key");
    r.install();
    r.londiste.run("provider add t");
    r.londiste.run("subscriber add t");
    // The copy ends, and its commit takes a while.
    r.subscriber.sql(
        "create function wait_a_moment() returns trigger language plpgsql as
             $$ begin if new.merge_state = 'catching-up' then perform pg_sleep(3); end if; return null; end $$;
         create constraint trigger late after update on londiste.subscriber_table deferrable initially deferred
             for each row execute procedure wait_a_moment()",
    );
    // The copy has registered its consumer, and waits before it takes its snapshot: what it reads was not flushed with the registration.
    r.provider.sql(
        "alter table pgq.consumer rename to consumers;
         create view pgq.consumer as select * from pgq.consumers where (select pg_sleep(0.5)) is not null",
    );
    r.londiste.start();
    // Few rows come after the snapshot: the log goes to the disk by pages.
    let writer = r.provider.session();
    for id in 0.. {
        writer.sql(&format!("insert into t values ({id})"));
        std::thread::sleep(Duration::from_millis(100));
        if r.londiste.log().contains("public.t: copy finished: ") {
            break;
        }
        assert!(id < 300, "{}", r.londiste.log());
    }
    wait_until("the copy commits", || {
        let sleeps =
            "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
        if r.subscriber.value(sleeps) == "1" { Ok(()) } else { Err("not yet") }
    });
    provider.stop(Shutdown::Immediate);
    provider.start();
    r.provider.sql("drop view pgq.consumer; alter table pgq.consumers rename to consumer");
    r.ticker.start();
    r.wait_until_ok();
    r.assert_in_sync();
}

/// A replication whose programs live with a few settings on both sides.
fn under(schema: &str, settings: &[(&str, &str)]) -> Replication {
    let mut r = Replication::new().with_schema(schema);
    let provider = hostile::everywhere(Cluster::provider(), &r.provider, settings);
    let subscriber = hostile::everywhere(Cluster::subscriber(), &r.subscriber, settings);
    r.ticker.configure("db", &provider);
    r.londiste.configure("provider_db", &provider);
    r.londiste.configure("subscriber_db", &subscriber);
    r
}

/// With a limit, an index of type gin gives a random part of the rows.
#[test]
fn a_condition_copies_all_rows_that_fulfil_it() {
    let settings = [("gin_fuzzy_search_limit", "1"), ("enable_seqscan", "off")];
    let mut r = under("create table t (id int primary key, tags int[])", &settings);
    r.provider.sql(
        "insert into t select g, array[1] from generate_series(1, 30000) g; create index on t using gin (tags); analyze t",
    );
    r.londiste.configure("copy_condition", "public.t: tags operator(pg_catalog.@>) array[1]");
    let r = r.up();
    assert_eq!(r.subscriber.value("select count(*) from t"), "30000");
}

#[test]
fn warnings_reach_the_log_whatever_a_client_is_told() {
    let r = under("create unlogged table t (id int primary key)", &[("client_min_messages", "error")]);
    r.install();
    let output = r.londiste.run("provider add t");
    assert!(output.stderr.contains("WARNING table public.t is unlogged"), "{}", output.stderr);
}

/// Tables of PgQ are ordinary ones where a server would give its tables an `oid`.
#[test]
fn tables_are_made_as_usual() {
    let r = under(
        "create table t (id int primary key)",
        &[("default_with_oids", "on"), ("default_toast_compression", "pglz")],
    );
    r.install();
    if r.provider.major() < 12 {
        let odd = "select relname from pg_class where relhasoids and relkind = 'r' and oid >= 16384";
        assert_eq!(r.provider.column(odd), Vec::<String>::new());
    }
}
