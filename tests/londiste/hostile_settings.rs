//! Settings of database and role that change texts, the meaning of statements or their fate: nothing of it is seen in the rows, nor
//! in what the programs say.

use crate::support::hostile;
use crate::support::{Cluster, Replication, Shutdown, wait_until};

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
