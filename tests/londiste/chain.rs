//! Databases in a chain: the subscriber of one queue is the provider of the next; and several queues into one
//! subscriber.

use crate::support::{
    Cluster, Database, Job, QUEUE, Replication, assert_same_rows, compare_tables, replay_until_in_sync, shop,
    wait_until, wait_until_ok,
};

/// `first` replicates from the head to the middle, `second` from the middle to the tail.
struct Chain {
    // Dropped in this order: `first` has the directory with the pidfiles of all.
    ticker: Job,
    second: Job,
    tail: Database,
    first: Replication,
}

impl Chain {
    /// Databases and ini files; `apply_role` is that of both hops. Nothing is installed.
    fn new(apply_role: &str) -> Chain {
        let mut first = Replication::new();
        first.londiste.configure("apply_role", apply_role);
        let tail = Cluster::provider().database();
        let middle = first.subscriber.conninfo().to_owned();
        let dir = first.scratch().path().to_owned();
        let ticker = Job::ticker(&dir, "db2-ticker", &middle);
        let second =
            Job::londiste(&dir, "db2-londiste", [&middle, tail.conninfo()], QUEUE).set("apply_role", apply_role);
        Chain { ticker, second, tail, first }
    }

    /// The shop in all three databases, with data at the head only.
    fn with_shop(self) -> Chain {
        let chain = Chain { first: self.first.with_shop(), ..self };
        shop::build(&chain.tail);
        chain
    }

    fn middle(&self) -> &Database {
        &self.first.subscriber
    }

    /// Installs and starts everything between middle and tail.
    fn start_second(&self) {
        self.ticker.run("install");
        self.second.run("provider install");
        self.second.run("subscriber install");
        self.middle().sql("update pgq.queue set queue_ticker_max_lag = '200 ms', queue_ticker_idle_period = '200 ms'");
        self.ticker.start();
        self.second.start();
    }

    fn add_to_second(&self) {
        self.second.run("provider add --all");
        self.second.run("subscriber add --all");
        wait_until_ok(&self.tail);
    }

    fn assert_in_sync(&self) {
        self.first.assert_in_sync();
        replay_until_in_sync(self.middle(), self.second.name());
        assert_same_rows(&self.first.provider, &self.tail, &compare_tables(&self.first.provider));
    }

    /// How the capture triggers of the middle fire, each way once.
    fn capture_triggers(&self) -> Vec<String> {
        self.middle().column("select distinct tgenabled::text from pg_trigger where tgname ~ '_logger_[iudt]$'")
    }
}

#[test]
fn every_change_reaches_the_end_of_a_chain() {
    let chain = Chain::new("origin").with_shop();
    let load = shop::crowd(&chain.first.provider);
    let chain = Chain { first: chain.first.up(), ..chain };
    chain.start_second();
    chain.add_to_second();
    chain.first.provider.sql("truncate invoices");
    load.stop();
    chain.assert_in_sync();
    assert_eq!(chain.capture_triggers(), ["A"]);
}

#[test]
fn changes_that_are_applied_as_replica_are_captured_all_the_same() {
    let chain = Chain::new("replica").with_shop();
    let load = shop::crowd(&chain.first.provider);
    let chain = Chain { first: chain.first.up(), ..chain };
    chain.start_second();
    chain.add_to_second();
    load.stop();
    chain.assert_in_sync();
}

#[test]
fn chain_can_be_built_from_its_end() {
    let chain = Chain::new("replica").with_shop();
    chain.start_second();
    chain.add_to_second();
    assert_eq!(chain.capture_triggers(), ["O"]);
    // The copies into the middle are changes like any other, and its tables become a subscriber's.
    let chain = Chain { first: chain.first.up(), ..chain };
    wait_until("the middle's triggers fire for replay too", || match chain.capture_triggers().as_slice() {
        [one] if one == "A" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let load = shop::crowd(&chain.first.provider);
    chain.first.replay_until_in_sync();
    load.stop();
    chain.assert_in_sync();
}

/// The end empties a table that others refer to, as the middle did with its foreign keys away: as replica it may.
#[test]
fn copy_into_the_middle_goes_on_to_the_end() {
    let chain = Chain::new("replica").with_shop();
    let chain = Chain { first: chain.first.up(), ..chain };
    chain.start_second();
    chain.add_to_second();
    chain
        .middle()
        .sql("delete from order_lines where order_id % 2 = 0; insert into customers (id, name) values (999999, 'x')");
    chain.first.londiste.run("subscriber resync order_lines customers");
    chain.first.wait_until_ok();
    chain.assert_in_sync();
}

/// A provider of its own with its ticker, and a job that brings its queue to a shared subscriber.
struct Source {
    database: Database,
    ticker: Job,
    londiste: Job,
}

#[test]
fn several_queues_fill_one_subscriber() {
    let r = Replication::new().with_schema("create table a (id int primary key, data text)");
    let other = Source::new(&r);
    other.database.sql("create table b (id int primary key, a_id int, data text)");
    // A foreign key from a table of one queue to a table of the other one.
    r.subscriber.sql("create table b (id int primary key, a_id int references a, data text)");
    r.provider.sql("insert into a select i, 'from one' from generate_series(1, 1000) i");
    other.database.sql("insert into b select i, i, 'from the other' from generate_series(1, 1000) i");
    r.install();
    other.install();
    r.start();
    other.ticker.start();
    other.londiste.start();
    r.add("a");
    other.londiste.run("provider add b");
    other.londiste.run("subscriber add b");
    wait_until_ok(&r.subscriber);
    other.londiste.program(["subscriber", "tables"]).stdout(listing("public.b")).run();
    r.londiste.program(["subscriber", "tables"]).stdout(listing("public.a")).run();
    r.provider.sql("update a set data = 'changed' where id <= 10; insert into a values (2000, 'new')");
    r.replay_until_in_sync();
    other.database.sql("insert into b values (2000, 2000, 'new'); delete from b where id = 1");
    replay_until_in_sync(&other.database, other.londiste.name());
    assert_same_rows(&r.provider, &r.subscriber, &["public.a"]);
    assert_same_rows(&other.database, &r.subscriber, &["public.b"]);
    wait_until("the foreign key is back", || {
        let valid = "select count(*) from pg_constraint where conname = 'b_a_id_fkey' and convalidated";
        if r.subscriber.value(valid) == "1" { Ok(()) } else { Err("not yet".to_owned()) }
    });
    // One queue that stands still does not hold up the other.
    other.londiste.stop();
    r.provider.sql("insert into a select i, 'more' from generate_series(3000, 3100) i");
    r.replay_until_in_sync();
    assert_same_rows(&r.provider, &r.subscriber, &["public.a"]);
}

impl Source {
    fn new(r: &Replication) -> Source {
        let database = Cluster::provider().database();
        let dir = r.scratch().path();
        let ticker = Job::ticker(dir, "other-ticker", database.conninfo());
        let londiste =
            Job::londiste(dir, "other-londiste", [database.conninfo(), r.subscriber.conninfo()], "other-queue");
        Source { database, ticker, londiste }
    }

    fn install(&self) {
        self.ticker.run("install");
        self.londiste.run("provider install");
        self.londiste.run("subscriber install");
        self.database.sql("update pgq.queue set queue_ticker_max_lag = '200 ms', queue_ticker_idle_period = '200 ms'");
    }
}

fn listing(table: &str) -> String {
    format!("{:<30}   {:>20}\n{table:<30}   {:>20}\n", "Table", "State", "ok")
}
