//! The ticker inside of replay: alone, beside other tickers, and after they are gone.

use crate::support::{Cluster, Database, Job, Replication, wait_until};

const BEGINS: &str = "No ticker serves the provider's database: this process makes the ticks";

/// A table on both sides, installed, with replay's key `ticker`; no ticker runs.
fn replication(mode: &str) -> Replication {
    let mut r = Replication::new().with_table("t", "id int primary key, data text");
    r.londiste.configure("maint_delay", "0.2");
    r.londiste.configure("ticker", mode);
    r.install();
    r
}

fn newest_tick(database: &Database) -> i64 {
    database.value("select max(tick_id) from pgq.tick").parse().unwrap()
}

/// Waits until the queue has more ticks than it has now.
#[track_caller]
fn wait_for_a_tick(database: &Database) {
    let now = newest_tick(database);
    wait_until("there is another tick", || if newest_tick(database) > now { Ok(()) } else { Err(now) });
}

#[track_caller]
fn assert_replicates(r: &Replication, first: u32) {
    r.provider.sql(&format!("insert into t select i, 'x' from generate_series({first}, {first} + 99) i"));
    r.assert_in_sync();
}

#[test]
fn replay_makes_no_ticks_unless_it_is_told_to() {
    let mut r = Replication::new().with_table("t", "id int primary key, data text");
    r.install();
    r.londiste.start();
    r.add("t");
    let first = newest_tick(&r.provider);
    r.londiste.wait_for_log("public.t: start copy");
    r.londiste.configure("ticker", "auto");
    assert_eq!(newest_tick(&r.provider), first);
    r.londiste.log_contains(BEGINS, || r.londiste.reload());
    r.wait_until_ok();
    assert_replicates(&r, 1);
    r.londiste.configure("ticker", "off");
    r.londiste.reload();
    wait_until("the ticker inside of replay ends", || no_session(&r.provider, "db1-londiste ticker"));
}

fn no_session(database: &Database, application: &str) -> Result<(), String> {
    let sessions = database.value(&format!(
        "select count(*) from pg_stat_activity where datname = current_database() and application_name = '{application}'"
    ));
    if sessions == "0" { Ok(()) } else { Err(sessions) }
}

#[test]
fn replay_ticks_and_rotates_while_no_ticker_is_there() {
    let r = replication("auto");
    r.provider.sql("select pgq.set_queue_config('db1-londiste-queue', 'rotation_period', '0')");
    r.londiste.start();
    r.add("t");
    r.wait_until_ok();
    assert_replicates(&r, 1);
    r.londiste.wait_for_log("INFO ticker: Rotating db1-londiste-queue");

    // It gives way,
    r.londiste.log_contains("A ticker serves the provider's database (pid ", || r.ticker.start());
    wait_until("only the ticker's sessions are left", || {
        let sessions = r.provider.column(
            "select pid from pg_stat_activity where datname = current_database() and query like '%/* inside replay */%'",
        );
        // The session that asks has these words in its own query.
        if sessions.len() == 1 { Ok(()) } else { Err(sessions.join(" ")) }
    });
    assert_replicates(&r, 1000);
    // and takes over, whichever way the ticker goes.
    r.londiste.log_contains(BEGINS, || r.ticker.kill9());
    assert_replicates(&r, 2000);
    r.londiste.log_contains("\"db1-ticker\"): this process makes no ticks", || r.ticker.start());
    r.londiste.log_contains(BEGINS, || r.ticker.stop());
    wait_for_a_tick(&r.provider);
    assert_eq!(r.londiste.log().matches(BEGINS).count(), 3, "{}", r.londiste.log());
}

#[test]
fn of_two_replays_one_ticks_and_the_other_takes_over() {
    let r = replication("auto");
    let (second, other) = r.second_subscriber("second");
    let second = second.set("ticker", "auto");
    other.sql("create table t (id int primary key, data text)");
    second.run("subscriber install");
    r.londiste.log_contains(BEGINS, || r.londiste.start());
    second.log_contains("Another replay makes the ticks of the provider's database", || second.start());
    r.add("t");
    second.run("subscriber add t");
    r.wait_until_ok();
    assert_replicates(&r, 1);
    assert!(!second.log().contains("A ticker serves"), "{}", second.log());
    second.log_contains(BEGINS, || r.londiste.kill9());
    wait_for_a_tick(&r.provider);
    r.londiste.log_contains("Another replay makes the ticks", || r.londiste.start());
    assert_replicates(&r, 1000);
}

#[test]
fn replay_ticks_beside_a_ticker_where_it_is_told_to() {
    let r = replication("on");
    r.ticker.start();
    r.londiste.log_contains("This process makes the ticks of the provider's database (ticker = on)", || {
        r.londiste.start();
    });
    r.add("t");
    r.wait_until_ok();
    r.ticker.stop();
    assert_replicates(&r, 1);
    assert!(!r.londiste.log().contains("A ticker serves"), "{}", r.londiste.log());
}

#[test]
fn replay_without_the_right_says_so_and_replicates() {
    let cluster = Cluster::provider();
    let reader = format!("reader_{}", std::process::id());
    cluster.sql(&format!("create role {reader} login"));
    let mut r = replication("auto");
    r.provider.sql(&format!("grant select on t to {reader}; select pgq.grant_right('{reader}', 'reader')"));
    r.londiste.run("provider add t");
    r.provider.sql(&format!("grant usage on schema londiste to {reader}"));
    let conninfo = r.provider.conninfo_as(&reader);
    r.londiste.configure("provider_db", &conninfo);
    r.ticker.start();
    r.londiste.log_contains("has not the right \"admin\" in schema pgq: this process makes no ticks", || {
        r.londiste.start();
    });
    r.londiste.run("subscriber add t");
    r.wait_until_ok();
    assert_replicates(&r, 1);
    r.londiste.stop();
    r.provider.sql(&format!("drop owned by {reader}"));
    cluster.sql(&format!("drop role {reader}"));
}

#[test]
fn ticker_inside_replay_survives_the_provider_s_restart() {
    let cluster = Cluster::builder().name("ticker_inside").start();
    let mut r = Replication::between(&cluster, Cluster::subscriber()).with_table("t", "id int primary key, data text");
    r.londiste.configure("ticker", "auto");
    r.install();
    r.londiste.start();
    r.add("t");
    r.wait_until_ok();
    cluster.restart();
    assert_replicates(&r, 1);
    drop(r);
}

/// A ticker of another program is known by what it calls. The call that gives a mirror queue the ticks of its provider is not that of a ticker.
#[test]
fn ticker_of_another_program_is_told_from_a_mirror_queue() {
    let r = replication("auto");
    let mirror = r.provider.session();
    mirror.sql("select 1 /* select pgq.ticker($1, $2, $3::timestamptz, $4) */");
    r.londiste.log_contains(BEGINS, || r.londiste.start());
    r.add("t");
    r.wait_until_ok();
    assert!(!r.londiste.log().contains("A ticker serves"), "{}", r.londiste.log());
    let other = r.provider.session();
    r.londiste.log_contains("A ticker serves the provider's database (pid ", || {
        other.sql("set application_name = 'pgqadm.py'; select 1 /* select pgq.ticker() */");
    });
    assert!(r.londiste.log().contains("\"pgqadm.py\"): this process makes no ticks"), "{}", r.londiste.log());
    r.londiste.log_contains(BEGINS, || drop(other));
    assert_replicates(&r, 1);
}

/// A ticker beside replay's own is one ticker for the doctor.
#[test]
fn doctor_counts_it_as_a_ticker() {
    let r = replication("auto");
    r.londiste.start();
    r.add("t");
    r.wait_until_ok();
    let ticker: &Job = &r.ticker;
    wait_until("the doctor sees one ticker", || {
        let output = ticker.program(["doctor", "-v"]).output();
        let line = output.stdout.lines().find(|line| line.contains("two-tickers")).unwrap_or_default().to_owned();
        if line.contains("sessions of tickers: 1") { Ok(()) } else { Err(output.stdout) }
    });
    // The session that looks for other tickers looks like one at no moment.
    for _ in 0..5 {
        let output = ticker.program(["doctor", "-v"]).output();
        assert!(output.stdout.contains("sessions of tickers: 1"), "{}", output.stdout);
    }
}
