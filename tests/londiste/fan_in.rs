//! Several queues into one table, and queues that feed each other.

use crate::support::{Cluster, Database, Job, QUEUE, Replication, replay_until_in_sync, wait_until};

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
        "ERROR Table public.t is in queue {QUEUE} on this subscriber too, and a copy would delete the rows that come from queue \
         {QUEUE}. \
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

/// Databases of a chain use one queue name, which is no loop; the last one back to the first one is not seen from there.
#[test]
fn chain_with_one_queue_name_is_no_loop() {
    let r = first();
    let dir = r.scratch().path();
    let middle = r.subscriber.conninfo();
    let third = Cluster::provider().database();
    third.sql(TABLE);
    let ticker = Job::ticker(dir, "middle-ticker", middle);
    let job = Job::londiste(dir, "middle", [middle, third.conninfo()], QUEUE);
    ticker.run("install");
    job.run("provider install");
    job.run("subscriber install");
    job.run("provider add t");
    let third_ticker = Job::ticker(dir, "third-ticker", third.conninfo());
    third_ticker.run("install");
    let last = Job::londiste(dir, "last", [third.conninfo(), r.provider.conninfo()], QUEUE);
    last.run("provider install");
    last.run("provider add t");
    // A consumer of the same name as the one of the middle's own queue, with and without a tick of the same number.
    third.sql(&format!("select pgq.register_consumer('{QUEUE}', 'db1-londiste')"));
    job.run("subscriber add t");
    job.run("subscriber remove t");
    r.londiste.stop();
    let position = r.subscriber.value("select last_tick_id from londiste.completed");
    third.sql(&format!(
        "insert into pgq.tick (tick_queue, tick_id, tick_time, tick_snapshot, tick_event_seq)
         select tick_queue, {position}, now(), tick_snapshot, tick_event_seq from pgq.tick
          where tick_id <> {position} limit 1 on conflict do nothing"
    ));
    job.run("subscriber add t");
    assert_eq!(third.value("select count(*) from londiste.subscriber_table"), "1");
}
