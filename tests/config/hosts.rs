//! Several servers in one connection string.

use std::fs;

use pretty_assertions::assert_eq;

use rlondiste::Report;

use super::{block_on, connect, hint, refused, value};
use crate::support::{Cluster, PortLock, Proxy, Traffic, run_dir};

/// Ports as one connection string to 127.0.0.1 for each.
fn several(ports: &[u16], rest: &str) -> String {
    let hosts = vec!["127.0.0.1"; ports.len()].join(",");
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    format!("host={hosts} port={} user=postgres dbname=postgres {rest}", ports.join(","))
}

#[test]
fn next_server_is_tried_when_one_is_down() {
    let cluster = Cluster::builder().name("second").tcp().start();
    let down = PortLock::claim();
    let db = connect(&several(&[down.number(), cluster.port()], "")).unwrap();
    assert_eq!(value(&db, "select current_setting('port')"), cluster.port().to_string());
    assert_eq!(db.target(), format!("host=127.0.0.1 port={} dbname=postgres user=postgres", cluster.port()));
    let nowhere = PortLock::claim();
    let conninfo = several(&[down.number(), nowhere.number()], "");
    assert_eq!(
        refused(&conninfo),
        format!(
            "could not connect to provider (host=127.0.0.1,127.0.0.1 port={a},{b} dbname=postgres user=postgres): \
             127.0.0.1 port {a}: connection refused; 127.0.0.1 port {b}: connection refused",
            a = down.number(),
            b = nowhere.number(),
        )
    );
}

#[test]
fn refused_login_ends_the_search() {
    let first = Cluster::builder().name("first").tcp().hba("host all all 127.0.0.1/32 reject").start();
    let second = Cluster::builder().name("second").tcp().start();
    let down = PortLock::claim();
    let message = refused(&several(&[down.number(), first.port(), second.port()], "sslmode=disable"));
    let expected = format!("127.0.0.1 port {}: connection refused; 127.0.0.1 port {}: ", down.number(), first.port());
    assert!(message.contains(&expected) && message.ends_with("(28000)"), "{message}");
}

#[test]
fn server_that_does_not_answer_costs_one_timeout() {
    let cluster = Cluster::builder().name("behind").tcp().start();
    let proxy = Proxy::to_cluster(&cluster);
    proxy.set_traffic(Traffic::Stall);
    let message = refused(&several(&[proxy.port()], "connect_timeout=1"));
    let silent = ": the server took the connection, but no login was done within 1 s (connect_timeout)";
    assert!(message.ends_with(silent), "{message}");
    let advice = hint(&several(&[proxy.port()], "connect_timeout=1"));
    assert!(advice.contains("a connection pooler all of whose server connections are in use"), "{advice}");
    let db = connect(&several(&[proxy.port(), cluster.port()], "connect_timeout=1")).unwrap();
    assert_eq!(db.target(), format!("host=127.0.0.1 port={} dbname=postgres user=postgres", cluster.port()));
}

#[test]
fn server_of_the_wanted_kind_is_taken() {
    let primary = Cluster::builder().name("primary").tcp().start();
    let standby = Cluster::builder().name("standby").tcp().conf("hot_standby = on").init();
    let signal = standby.data_dir().join("standby.signal");
    fs::write(&signal, "").unwrap();
    if let Some(user) = run_dir::server_user() {
        std::os::unix::fs::chown(&signal, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
    standby.start();
    let [p, s] = [primary.port(), standby.port()];
    for (order, wanted, taken) in [
        ([s, p], "any", s),
        ([s, p], "read-write", p),
        ([p, s], "read-only", s),
        ([s, p], "primary", p),
        ([p, s], "standby", s),
        ([p, s], "prefer-standby", s),
    ] {
        let db = connect(&several(&order, &format!("target_session_attrs={wanted}"))).unwrap();
        assert_eq!(value(&db, "select current_setting('port')"), taken.to_string(), "{wanted}");
    }
    let db = connect(&several(&[p], "target_session_attrs=prefer-standby")).unwrap();
    assert_eq!(value(&db, "select current_setting('port')"), p.to_string());
    let message = refused(&several(&[s], "target_session_attrs=primary"));
    assert!(message.ends_with(": the server is a standby (target_session_attrs)"), "{message}");
    let message = refused(&several(&[s], "target_session_attrs=read-write"));
    assert!(message.ends_with(": the session is read-only (target_session_attrs)"), "{message}");
    let advice = hint(&several(&[s], "target_session_attrs=primary"));
    assert!(advice.starts_with("Name a server of that kind in the connection string too"), "{advice}");

    let db = connect(&several(&[s], "")).unwrap();
    let error = block_on(db.query("make a table", "create table t ()", &[])).unwrap_err();
    let text = Report(&error).to_string();
    assert!(text.contains("(25006)\nHINT: The server is a standby, which takes no changes."), "{text}");
    assert!(text.contains("target_session_attrs=read-write"), "{text}");
}

#[test]
fn host_without_a_server_is_named() {
    for (host, expected) in [
        ("host=/nonexistent port=5", "/nonexistent/.s.PGSQL.5: No such file or directory (os error 2)"),
        ("host=no-such-host.invalid", "could not look up host \"no-such-host.invalid\""),
    ] {
        let message = refused(&format!("{host} user=u dbname=d"));
        assert!(message.contains(expected), "{message}");
    }
}
