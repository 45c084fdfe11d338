//! Several queues into one table, and queues that feed each other.

use std::time::Duration;

use crate::support::{Cluster, Database, Job, QUEUE, Replication, replay_until_in_sync, wait_until, wait_within};

const TABLE: &str = "create table t (id int primary key, v text)";

/// Another provider with table `t` in queue `second`, whose ticker and replay run.
struct Second {
    // Dropped in this order.
    ticker: Job,
    londiste: Job,
    provider: Database,
}

impl Second {
    fn new(r: &Replication) -> Second {
        let provider = Cluster::provider().database();
        let second = Second::between(r, provider, &r.subscriber);
        second.londiste.run("subscriber install");
        second.start();
        second
    }

    /// From one database to another, neither of which is `r`'s provider.
    fn between(r: &Replication, provider: Database, subscriber: &Database) -> Second {
        provider.sql("create table if not exists t (id int primary key, v text)");
        let dir = r.scratch().path();
        let ticker = Job::ticker(dir, "second-ticker", provider.conninfo());
        let londiste = Job::londiste(dir, "second", [provider.conninfo(), subscriber.conninfo()], "second");
        ticker.run("install");
        londiste.run("provider install");
        provider.sql("update pgq.queue set queue_ticker_max_lag = '200 ms', queue_ticker_idle_period = '200 ms'");
        Second { ticker, londiste, provider }
    }

    fn start(&self) {
        self.londiste.run("provider add t");
        self.ticker.start();
        self.londiste.start();
    }
}

fn first() -> Replication {
    let r = Replication::new().with_schema(TABLE);
    r.provider.sql("insert into t values (1, 'first')");
    r.up()
}

fn rows(db: &Database) -> Vec<String> {
    db.column("select id || ' ' || v from t order by id")
}

#[test]
fn table_of_another_queue_is_not_emptied() {
    let r = first();
    let second = Second::new(&r);
    second.provider.sql("insert into t values (101, 'second')");
    let add = second.londiste.program(["subscriber", "add", "t"]).status(1).run();
    let error = format!(
        "ERROR Table public.t is in queue {QUEUE} on this subscriber too, and a copy would delete the rows that come from there. \
         To merge the queues' rows, use --skip-truncate"
    );
    assert!(add.stderr.contains(&error), "{}", add.stderr);
    assert_eq!(r.subscriber.value("select count(*) from londiste.subscriber_table"), "1");
    // Merged, where it is wanted.
    second.londiste.run("subscriber add t --skip-truncate");
    r.wait_until_ok();
    r.provider.sql("insert into t values (2, 'first'); update t set v = 'first!' where id = 1");
    second.provider.sql("insert into t values (102, 'second'); update t set v = 'second!' where id = 101");
    r.replay_until_in_sync();
    replay_until_in_sync(&second.provider, "second");
    let merged = ["1 first!", "2 first", "101 second!", "102 second"];
    assert_eq!(rows(&r.subscriber), merged);
    // Nor does a later copy of the first queue's table empty it.
    let from = r.londiste.log().len();
    r.londiste.run("subscriber resync t");
    r.londiste.wait_for_log_after(from, "a copy would delete the rows that come from queue second");
    assert_eq!(rows(&r.subscriber), merged);
}

/// Which of the two is copied first is not known when both are added.
#[test]
fn first_copy_that_comes_late_does_not_empty_the_table() {
    let r = Replication::new().with_schema(TABLE);
    r.provider.sql("insert into t values (1, 'first')");
    r.install();
    r.ticker.start();
    r.add("t");
    let second = Second::new(&r);
    second.provider.sql("insert into t values (101, 'second')");
    second.londiste.run("subscriber add t --skip-truncate");
    wait_until("the second queue's table is ok", || {
        let sql = "select merge_state from londiste.subscriber_table where queue_name = 'second'";
        let state = r.subscriber.value(sql);
        if state == "ok" { Ok(()) } else { Err(state) }
    });
    r.londiste.start();
    r.londiste.wait_for_log("a copy would delete the rows that come from queue second");
    assert_eq!(rows(&r.subscriber), ["101 second"]);
    // What it says helps.
    r.londiste.run("subscriber remove t");
    r.londiste.run("subscriber add t --skip-truncate");
    r.wait_until_ok();
    assert_eq!(rows(&r.subscriber), ["1 first", "101 second"]);
}

/// What one database gets from the other would go back to it, for ever.
#[test]
fn table_that_is_fed_from_here_is_not_subscribed_to() {
    let r = first();
    let subscriber = Database::existing(Cluster::subscriber(), r.subscriber.name());
    let back = Second::between(&r, subscriber, &r.provider);
    back.londiste.run("subscriber install");
    back.start();
    let add = back.londiste.program(["subscriber", "add", "t"]).status(1).run();
    let error = format!(
        "ERROR Table public.t on provider is a subscriber of queue {QUEUE} of this database: each change would go round for ever"
    );
    assert!(add.stderr.contains(&error), "{}", add.stderr);
    assert_eq!(r.provider.value("select count(*) from londiste.subscriber_table"), "0");
    r.provider.sql("insert into t values (2, 'second')");
    r.assert_in_sync();
    std::mem::forget(back.provider);
}

#[test]
fn database_is_not_its_own_subscriber() {
    let r = first();
    let dir = r.scratch().path();
    let provider = r.provider.conninfo();
    let job = Job::londiste(dir, "mirror", [provider, provider], QUEUE);
    job.run("subscriber install");
    let add = job.program(["subscriber", "add", "t"]).status(1).run();
    assert!(add.stderr.contains("provider_db and subscriber_db are the same database"), "{}", add.stderr);
    assert_eq!(r.provider.value("select count(*) from t"), "1");
}

/// Two processes under one consumer name, on a subscriber and on a copy of it: each batch goes to one of them only.
#[test]
fn two_readers_of_one_consumer_are_noticed() {
    let r = first();
    r.replay_until_in_sync();
    r.londiste.stop();
    let name = format!("{}_copy", r.subscriber.name());
    let copy = Database::existing(Cluster::subscriber(), &name);
    wait_until("nobody is connected to the subscriber", || {
        let postgres = crate::support::Session::connect(&Cluster::subscriber().socket_conninfo("postgres")).unwrap();
        postgres.try_rows(&format!("create database {name} template {}", r.subscriber.name())).map(drop)
    });
    let dir = crate::support::Scratch::new();
    let twin = Job::londiste(dir.path(), "db1-londiste", [r.provider.conninfo(), copy.conninfo()], QUEUE);
    r.londiste.start();
    twin.start();
    let said = |job: &Job| {
        let log = job.log();
        log.contains("another process reads as consumer db1-londiste") && log.contains("CRITICAL")
    };
    let mut id = 1;
    wait_within(Duration::from_secs(40), "one of the two stops and names the other", || {
        id += 1;
        r.provider.sql(&format!("insert into t values ({id}, 'x')"));
        std::thread::sleep(Duration::from_millis(100));
        if said(&r.londiste) || said(&twin) {
            return Ok(());
        }
        let tail = |job: &Job| job.log().lines().rev().take(6).collect::<Vec<_>>().join("\n");
        Err(format!("{}\n---\n{}", tail(&r.londiste), tail(&twin)))
    });
    // Nothing is lost unseen: a side that has stopped says so, the other one has every row.
    let expected = rows(&r.provider);
    wait_until("one of them has all rows", || {
        let have = [rows(&r.subscriber), rows(&copy)];
        if have.contains(&expected) { Ok(()) } else { Err(format!("{have:?}")) }
    });
}

/// On one subscriber no batch is applied twice, and no row is lost.
#[test]
fn two_readers_on_one_subscriber_are_noticed() {
    let r = first();
    let dir = crate::support::Scratch::new();
    let twin = Job::londiste(dir.path(), "db1-londiste", [r.provider.conninfo(), r.subscriber.conninfo()], QUEUE);
    twin.start();
    let said = |job: &Job| job.log().contains("another process reads as consumer db1-londiste");
    let mut id = 1;
    wait_within(Duration::from_secs(40), "one of the two names the other", || {
        id += 1;
        r.provider.sql(&format!("insert into t values ({id}, 'x'); update t set v = v || '.' where id = 1"));
        std::thread::sleep(Duration::from_millis(50));
        if said(&r.londiste) || said(&twin) {
            Ok(())
        } else {
            Err(format!("{}\n---\n{}", r.londiste.log(), twin.log()))
        }
    });
    twin.stop();
    r.provider.sql("insert into t values (0, 'end')");
    r.assert_in_sync();
}
