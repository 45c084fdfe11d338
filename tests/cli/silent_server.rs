//! A server that does not answer any more, without an end of the connection: a firewall that forgot it, a machine that is
//! gone. A stop does not wait for such a server, and work goes on by a new connection.

use std::time::Duration;

use crate::support::{Cluster, Database, Job, Proxy, QUEUE, Replication, Traffic, wait_within};

/// The longest that a stop may take.
const LIMIT: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug)]
enum Silent {
    Provider,
    Subscriber,
}

impl Silent {
    fn database(self, r: &Replication) -> &Database {
        match self {
            Silent::Provider => &r.provider,
            Silent::Subscriber => &r.subscriber,
        }
    }
}

/// A replay that has one of its servers behind the proxy.
fn behind_proxy(silent: Silent) -> (Replication, Job, Proxy, Cluster) {
    let cluster = Cluster::builder().name("silent").tcp().start();
    let proxy = Proxy::to_cluster(&cluster);
    let r = match silent {
        Silent::Provider => Replication::between(&cluster, Cluster::subscriber()),
        Silent::Subscriber => Replication::between(Cluster::provider(), &cluster),
    };
    let r = r.with_table("t", "id int primary key");
    r.install();
    let (provider, subscriber) = match silent {
        Silent::Provider => (proxy.conninfo(r.provider.name()), r.subscriber.conninfo().to_owned()),
        Silent::Subscriber => (r.provider.conninfo().to_owned(), proxy.conninfo(r.subscriber.name())),
    };
    let job = Job::londiste(r.scratch().path(), "db1-proxied", [&provider, &subscriber], QUEUE);
    r.ticker.start();
    job.run("subscriber register");
    job.start();
    job.run("provider add t");
    job.run("subscriber add t");
    r.wait_until_ok();
    (r, job, proxy, cluster)
}

#[track_caller]
fn assert_stops(job: &Job, option: &str) {
    job.program([option]).stdout("").stderr("").run();
    wait_within(LIMIT, &format!("{} ends after {option}", job.name()), || {
        if job.is_running() { Err(job.log()) } else { Ok(()) }
    });
    assert!(!job.pidfile().exists());
}

#[test]
fn stop_of_replay_does_not_wait_for_a_silent_server() {
    for silent in [Silent::Provider, Silent::Subscriber] {
        for option in ["-s", "-k"] {
            let (r, job, proxy, _cluster) = behind_proxy(silent);
            proxy.set_traffic(Traffic::Stall);
            r.provider.sql("insert into t values (1)");
            // Replay is in the middle of something by now, or will be at its next turn.
            std::thread::sleep(Duration::from_secs(2));
            assert_stops(&job, option);
            if option == "-s" {
                let role = match silent {
                    Silent::Provider => "provider",
                    Silent::Subscriber => "subscriber",
                };
                let text = format!("WARNING {role} (host=127.0.0.1 port={}", proxy.port());
                assert!(job.log().contains(&text), "{silent:?}: {}", job.log());
                assert!(job.log().contains(") does not answer any more: not waiting for it\n"), "{}", job.log());
            }
            proxy.set_traffic(Traffic::Forward);
            job.start();
            crate::support::replay_until_in_sync(&r.provider, job.name());
            assert_eq!(r.subscriber.value("select count(*) from t"), "1", "{silent:?} {option}");
        }
    }
}

#[test]
fn stop_of_a_ticker_does_not_wait_for_a_silent_server() {
    let cluster = Cluster::builder().name("silent").tcp().start();
    let proxy = Proxy::to_cluster(&cluster);
    let database = cluster.database();
    for option in ["-s", "-k"] {
        let scratch = crate::support::Scratch::new();
        let job = Job::ticker(scratch.path(), "db1-ticker", &proxy.conninfo(database.name()));
        job.run("install");
        job.start();
        job.wait_for_log("{maint_duration: ");
        proxy.set_traffic(Traffic::Stall);
        std::thread::sleep(Duration::from_secs(2));
        assert_stops(&job, option);
        proxy.set_traffic(Traffic::Forward);
    }
}

/// The connections of a job are given up after this time.
const CHECK: &str = "2";

fn restart(job: &Job) {
    job.stop();
    job.start();
}

/// Stalls the wire, and waits until the job has noticed.
#[track_caller]
fn fall_silent(job: &Job, proxy: &Proxy) {
    let start = job.log().len();
    proxy.set_traffic(Traffic::Stall);
    wait_within(LIMIT, "the silent server is noticed", || {
        let log = job.log()[start..].to_owned();
        if log.contains(") does not answer any more: closing the connection\n") { Ok(()) } else { Err(log) }
    });
}

#[test]
fn silent_server_is_noticed_by_replay_and_its_work_goes_on() {
    for silent in [Silent::Provider, Silent::Subscriber] {
        let (r, mut job, proxy, _cluster) = behind_proxy(silent);
        job.configure("connection_check", CHECK);
        restart(&job);
        r.provider.sql("insert into t values (1)");
        crate::support::replay_until_in_sync(&r.provider, job.name());
        let writes = crate::support::Load::start(&r.provider, 1, |_, n| {
            format!("insert into t values ({}); select pg_sleep(0.02)", n + 10)
        });
        fall_silent(&job, &proxy);
        // Replay's sessions on the server are still there: nobody has told the server.
        let left = silent
            .database(&r)
            .value(&format!("select count(*) > 0 from pg_stat_activity where application_name = '{}'", job.name()));
        assert_eq!(left, "t");
        proxy.set_traffic(Traffic::Forward);
        assert!(writes.stop() > 0);
        crate::support::replay_until_in_sync(&r.provider, job.name());
        assert_eq!(r.provider.rows("select id from t order by 1"), r.subscriber.rows("select id from t order by 1"));
    }
}

#[test]
fn silent_server_is_noticed_by_a_ticker() {
    let cluster = Cluster::builder().name("silent").tcp().start();
    let proxy = Proxy::to_cluster(&cluster);
    let database = cluster.database();
    let scratch = crate::support::Scratch::new();
    let mut job = Job::ticker(scratch.path(), "db1-ticker", &proxy.conninfo(database.name()));
    job.configure("connection_check", CHECK);
    job.run("install");
    database.sql("select pgq.create_queue('q')");
    job.start();
    job.wait_for_log("{maint_duration: ");
    fall_silent(&job, &proxy);
    proxy.set_traffic(Traffic::Forward);
    let before = database.value("select max(tick_id) from pgq.tick");
    database.sql("select pgq.insert_event('q', 'a', 'b')");
    crate::support::wait_until("the ticker goes on", || {
        let now = database.value("select max(tick_id) from pgq.tick");
        if now == before { Err(now) } else { Ok(()) }
    });
}

/// A server that takes its time with a statement answers on a new connection.
#[test]
fn busy_server_is_not_given_up() {
    let (r, mut job, _proxy, _cluster) = behind_proxy(Silent::Subscriber);
    job.configure("connection_check", "1");
    restart(&job);
    let reader = r.subscriber.session();
    reader.sql("begin; lock table t in share mode");
    r.provider.sql("insert into t values (1)");
    std::thread::sleep(Duration::from_secs(4));
    reader.sql("commit");
    crate::support::replay_until_in_sync(&r.provider, job.name());
    assert_eq!(r.subscriber.value("select count(*) from t"), "1");
    assert!(!job.log().contains("does not answer"), "{}", job.log());
}

#[test]
fn next_host_is_taken_when_one_falls_silent() {
    let (r, mut job, first, cluster) = behind_proxy(Silent::Subscriber);
    let second = Proxy::to_cluster(&cluster);
    let ports = format!("host=127.0.0.1,127.0.0.1 port={},{}", first.port(), second.port());
    let rest = r
        .subscriber
        .conninfo()
        .split_whitespace()
        .filter(|word| !word.starts_with("host=") && !word.starts_with("port="));
    job.configure("subscriber_db", &format!("{ports} connect_timeout=2 {}", rest.collect::<Vec<_>>().join(" ")));
    job.configure("connection_check", CHECK);
    restart(&job);
    r.provider.sql("insert into t values (1)");
    crate::support::replay_until_in_sync(&r.provider, job.name());
    r.provider.sql("insert into t values (2)");
    fall_silent(&job, &first);
    crate::support::replay_until_in_sync(&r.provider, job.name());
    assert_eq!(r.subscriber.value("select count(*) from t"), "2");
}

/// While it is being connected to, nothing is half done.
#[test]
fn stop_does_not_wait_for_a_server_that_takes_no_login() {
    let cluster = Cluster::builder().name("silent").tcp().start();
    let proxy = Proxy::to_cluster(&cluster);
    proxy.set_traffic(Traffic::Stall);
    for option in ["-s", "-k"] {
        let scratch = crate::support::Scratch::new();
        let conninfo = format!("{} connect_timeout=600", proxy.conninfo("postgres"));
        let job = Job::ticker(scratch.path(), "db1-ticker", &conninfo);
        job.start();
        assert_stops(&job, option);
    }
}
