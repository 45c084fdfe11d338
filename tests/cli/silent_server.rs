//! A server that does not answer any more, without an end of the connection: a firewall that forgot it, a machine that is
//! gone. A stop does not wait for such a server.

use std::time::Duration;

use crate::support::{Cluster, Job, Proxy, QUEUE, Replication, Traffic, wait_within};

/// The longest that a stop may take.
const LIMIT: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug)]
enum Silent {
    Provider,
    Subscriber,
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
