//! The provider dies, and its standby, which has streamed its WAL, is promoted. The connection strings name both servers.

use std::thread::{self, JoinHandle};

use crate::support::{
    Cluster, Database, QUEUE, Replication, Session, Shutdown, assert_same_rows, replay_until_in_sync, wait_until,
};

const CONSUMER: &str = "db1-londiste";

/// A pair of servers with a database, and a subscriber elsewhere.
struct Pair {
    r: Replication,
    primary: Cluster,
    standby: Cluster,
}

impl Pair {
    /// In sync. The standby streams.
    fn new() -> Pair {
        let primary = Cluster::builder().name("primary").start();
        let mut r = Replication::between(&primary, Cluster::subscriber())
            .with_schema("create table t (id bigserial primary key, v text); create table u (id int primary key)");
        r.provider.sql("insert into t (v) values ('before'); insert into u values (1)");
        let standby = Cluster::builder().name("standby").init();
        standby.start_as_standby_of(&primary);
        let both = format!(
            "host={},{} port={},{} user=postgres dbname={} target_session_attrs=read-write",
            primary.socket_dir().display(),
            standby.socket_dir().display(),
            primary.port(),
            standby.port(),
            r.provider.name()
        );
        r.ticker.configure("db", &both);
        r.londiste.configure("provider_db", &both);
        let pair = Pair { r: r.up(), primary, standby };
        pair.r.replay_until_in_sync();
        pair
    }

    /// The provider's database on the standby, which is a server of its own from now on.
    fn promote(&self) -> Database {
        self.standby.promote();
        Database::existing(&self.standby, self.r.provider.name())
    }
}

/// Writes until the server is gone, and returns the values that were committed.
fn spawn_client(client: usize, session: Session) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut committed = Vec::new();
        loop {
            let row = format!("{client}/{}", committed.len());
            let sql =
                format!("insert into t (v) values ('{row}'); update t set v = v || '.' where id = {}", committed.len());
            match session.try_rows(&sql) {
                Ok(_) => committed.push(row),
                Err(_) => return committed,
            }
        }
    })
}

/// The clients got an answer to their commits only when the standby had them.
#[test]
fn standby_with_all_wal_goes_on_in_the_middle_of_the_load() {
    let pair = Pair::new();
    pair.primary.wait_for_standby_at_commit();
    let clients: Vec<_> = (0..2).map(|client| spawn_client(client, pair.r.provider.session())).collect();
    wait_until("replay is in the middle of the load", || {
        let applied = pair.r.subscriber.value("select count(*) from t");
        if applied.parse::<u32>().unwrap() > 40 { Ok(()) } else { Err(applied) }
    });
    pair.primary.stop(Shutdown::Immediate);
    let acknowledged: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let provider = pair.promote();
    provider.sql("insert into t (v) values ('of the new server'); insert into u values (2)");
    replay_until_in_sync(&provider, CONSUMER);
    assert_same_rows(&provider, &pair.r.subscriber, &["t", "u"]);
    let arrived = pair.r.subscriber.column("select rtrim(v, '.') from t");
    let lost: Vec<&String> = acknowledged.iter().filter(|row| !arrived.contains(row)).collect();
    assert!(acknowledged.len() > 40 && lost.is_empty(), "{} acknowledged, lost: {lost:?}", acknowledged.len());
    assert!(!pair.r.londiste.log().contains("resync"), "{}", pair.r.londiste.log());
}

/// The last ticks that the subscriber has are not there: what it says helps.
#[test]
fn standby_that_lacks_wal_stops_replay_and_says_what_helps() {
    let pair = Pair::new();
    pair.standby.stop(Shutdown::Fast);
    for id in 10..15 {
        pair.r.provider.sql(&format!("insert into u values ({id}); select pgq.force_tick('{QUEUE}')"));
        pair.r.replay_until_in_sync();
    }
    pair.primary.stop(Shutdown::Immediate);
    pair.standby.start();
    let provider = pair.promote();
    provider.sql("insert into u values (20)");
    wait_until("replay says that the queue went back", || {
        let log = pair.r.londiste.log();
        let told = log.split(" CRITICAL ").any(|report| report.contains("subscriber resync --all"));
        if told { Ok(()) } else { Err(log.lines().last().unwrap_or_default().to_owned()) }
    });
    pair.r.londiste.program(["subscriber", "check"]).status(1).run();
    pair.r.londiste.run("subscriber resync --all");
    pair.r.wait_until_ok();
    replay_until_in_sync(&provider, CONSUMER);
    assert_same_rows(&provider, &pair.r.subscriber, &["t", "u"]);
    pair.r.londiste.run("subscriber check");
}
