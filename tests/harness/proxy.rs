use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Cluster, Proxy, Session, Traffic, wait_until};

fn proxy_and_cluster() -> (Proxy, Cluster) {
    let cluster = Cluster::builder().name("proxied").tcp().start();
    (Proxy::to_cluster(&cluster), cluster)
}

fn connect(proxy: &Proxy) -> Result<Session, String> {
    Session::connect(&format!("{} connect_timeout=5", proxy.conninfo("postgres"))).map_err(|error| error.to_string())
}

#[test]
fn forwards_and_delays() {
    let (proxy, _cluster) = proxy_and_cluster();
    let session = connect(&proxy).unwrap();
    assert_eq!(session.value("select 1"), "1");
    assert_eq!(proxy.set_traffic(Traffic::Delay(Duration::from_millis(100))), Traffic::Forward);
    let start = Instant::now();
    assert_eq!(session.value("select 2"), "2");
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn refusing_cuts_and_forwarding_again_heals() {
    let (proxy, _cluster) = proxy_and_cluster();
    let session = connect(&proxy).unwrap();
    proxy.set_traffic(Traffic::Refuse);
    assert_eq!(session.error("select 1").code, "");
    let error = connect(&proxy).err().unwrap();
    assert!(error.contains("refused"), "{error}");
    proxy.set_traffic(Traffic::Forward);
    assert_eq!(connect(&proxy).unwrap().value("select 1"), "1");
}

#[test]
fn stalled_statement_goes_on_later() {
    let (proxy, cluster) = proxy_and_cluster();
    let session = connect(&proxy).unwrap();
    proxy.set_traffic(Traffic::Stall);
    let statement = thread::spawn(move || session.value("select 'late'"));
    assert_eq!(
        cluster.value("select count(*) from pg_stat_activity where query like '%late%' and pid <> pg_backend_pid()"),
        "0"
    );
    assert!(!statement.is_finished());
    proxy.set_traffic(Traffic::Forward);
    assert_eq!(statement.join().unwrap(), "late");
}

#[test]
fn cut_after_some_bytes_lets_exactly_them_pass() {
    let (proxy, _cluster) = proxy_and_cluster();
    let session = connect(&proxy).unwrap();
    proxy.set_traffic(Traffic::CutAfter(50_000));
    assert_eq!(session.error("select repeat('x', 1000) from generate_series(1, 1000)").code, "");
    assert_eq!(proxy.passed(), 50_000);
    wait_until("it refuses from then on", || match connect(&proxy) {
        Err(error) if error.contains("refused") => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err("connected".to_owned()),
    });
}

#[test]
fn target_can_be_changed() {
    let (proxy, _first) = proxy_and_cluster();
    let second = Cluster::builder().name("second").tcp().start();
    let before = connect(&proxy).unwrap();
    proxy.set_target(([127, 0, 0, 1], second.port()).into());
    assert_eq!(before.error("select 1").code, "");
    assert_eq!(connect(&proxy).unwrap().value("show port"), second.port().to_string());
}
