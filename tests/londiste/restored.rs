//! The provider was dumped, and restored into a cluster whose transaction counter is behind.

use crate::support::{
    Cluster, Replication, Shutdown, assert_same_rows, dump_and_restore, replay_until_in_sync, run_dir,
    server_and_client_fit, use_up_transactions, wait_until,
};

const CONSUMER: &str = "db1-londiste";

/// New events have transaction ids that the snapshot of the last copy takes for copied ones.
#[test]
fn table_whose_copy_belongs_to_the_old_cluster_is_copied_again() {
    if !server_and_client_fit(Cluster::provider().binaries()) {
        eprintln!("left out: pg_dump is older than the server");
        return;
    }
    let old = Cluster::builder().name("old").start();
    let r = Replication::between(&old, Cluster::subscriber())
        .with_schema("create table t (id int primary key, v text); create table u (id int primary key)");
    use_up_transactions(&r.provider.session());
    r.provider.sql("insert into t values (1, 'before'); insert into u values (1)");
    let mut r = r.up();
    r.replay_until_in_sync();
    wait_until("no table needs its snapshot any more", || {
        let left = r.subscriber.value("select count(*) from londiste.subscriber_table where snapshot is not null");
        if left == "0" { Ok(()) } else { Err(left) }
    });
    r.londiste.stop();
    r.ticker.stop();
    // As if the copy of t had just ended.
    let snapshot = r.provider.value("select txid_current_snapshot()");
    r.subscriber
        .sql(&format!("update londiste.subscriber_table set snapshot = '{snapshot}' where table_name = 'public.t'"));

    let new = Cluster::builder().name("new").start();
    // The servers of tests are copies of one: databases are told apart by their oids, which begin at the same number.
    let _first = new.database();
    let provider = new.database();
    dump_and_restore(&old, &r.provider, &provider);
    r.ticker.configure("db", provider.conninfo());
    r.londiste.configure("provider_db", provider.conninfo());
    r.ticker.run(&format!("rebase {}", crate::support::QUEUE));
    provider.sql("update t set v = 'after'; insert into t values (2, 'new'); insert into u values (2)");

    let problem = "the snapshot of its copy is ahead of the provider's transactions";
    let check = r.londiste.program(["subscriber", "check"]).status(1).run();
    let told = format!("ERROR Table public.t is ok, but changes may be missing: {problem}");
    assert!(check.stderr.contains(&told), "{}", check.stderr);
    assert_eq!(check.stderr.matches("is ok, but").count(), 1, "{}", check.stderr);
    r.ticker.start();
    r.londiste.start();
    r.londiste.wait_for_log(&format!("WARNING Table public.t is copied again: {problem}"));
    r.wait_until_ok();
    replay_until_in_sync(&provider, CONSUMER);
    assert_same_rows(&provider, &r.subscriber, &["t", "u"]);
    assert!(!r.londiste.log().contains("Table public.u is copied again"), "{}", r.londiste.log());
}

/// A server that is older than 2^32 transactions counts on in 64 bits.
#[test]
fn transaction_counters_beyond_32_bits_are_read() {
    if !Cluster::provider().binaries().program("pg_resetwal").is_file() {
        eprintln!("left out: these server programs have no pg_resetwal");
        return;
    }
    let (one, other) = (Cluster::builder().name("aged").start(), Cluster::builder().name("aged-too").start());
    let r = Replication::between(&one, &other).with_table("t", "id int primary key, v text");
    r.provider.sql("insert into t values (1, 'before')");
    let r = r.up();
    r.replay_until_in_sync();
    // Some events of before are in the same batch as those of after.
    r.londiste.stop();
    r.provider.sql("insert into t values (2, 'not replayed')");
    r.ticker.stop();
    for (cluster, epoch) in [(&one, "5"), (&other, "9")] {
        cluster.stop(Shutdown::Fast);
        let mut command = run_dir::server_command(&cluster.binaries().program("pg_resetwal"));
        let output = command.args(["-e", epoch, "-D"]).arg(cluster.data_dir()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        cluster.start();
    }
    let next: u64 = r.provider.value("select txid_current()").parse().unwrap();
    assert!(next > 5 << 32, "{next}");
    r.provider.sql("insert into t values (3, 'after'); update t set v = v || '!'; create table u (id int primary key)");
    r.provider.sql("insert into u values (1)");
    r.subscriber.sql("create table u (id int primary key)");
    r.start();
    r.replay_until_in_sync();
    r.add("u");
    r.wait_until_ok();
    r.provider.sql("insert into u values (2); delete from t where id = 1");
    wait_until("no table needs its snapshot any more", || {
        let left = r.subscriber.value("select count(*) from londiste.subscriber_table where snapshot is not null");
        if left == "0" { Ok(()) } else { Err(left) }
    });
    r.assert_in_sync();
    r.londiste.run("subscriber check");
    for job in [&r.ticker, &r.londiste] {
        assert!(!["WARNING", "ERROR", "CRITICAL"].iter().any(|level| job.log().contains(level)), "{}", job.log());
    }
}
