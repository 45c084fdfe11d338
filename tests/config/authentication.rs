//! Every way to log in that needs no encryption; the encrypted ones are in `tls`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pretty_assertions::assert_eq;
use rlondiste::pg::conninfo::Environment;

use super::{block_on, connect, connect_in, hint, refused, value};
use crate::support::{Cluster, Scratch};

/// A server with a user per method, all with password `se cret'\`.
fn server() -> Cluster {
    let cluster = Cluster::builder()
        .name("auth")
        .tcp()
        .hba("host all scram 127.0.0.1/32 scram-sha-256")
        .hba("host all md5 127.0.0.1/32 md5")
        .hba("host all plain 127.0.0.1/32 password")
        .hba("host all nobody 127.0.0.1/32 reject")
        .start();
    cluster.sql(
        "create role scram login password E'se cret\\'\\\\';
         set password_encryption = 'md5';
         create role md5 login password E'se cret\\'\\\\';
         create role plain login password E'se cret\\'\\\\';
         create role nobody login",
    );
    cluster
}

const PASSWORD: &str = r"password='se cret\'\\'";

#[test]
fn passwords_are_accepted_in_every_form() {
    let cluster = server();
    let place = format!("host=127.0.0.1 port={} dbname=postgres", cluster.port());
    for user in ["scram", "md5", "plain"] {
        let db = connect(&format!("{place} user={user} {PASSWORD}")).unwrap();
        assert_eq!(value(&db, "select current_user::text"), user);
        assert_eq!(db.target(), format!("{place} user={user}"));
        let uri = format!("postgresql://{user}:se%20cret'%5C@127.0.0.1:{}/postgres", cluster.port());
        assert_eq!(value(&connect(&uri).unwrap(), "select current_user::text"), user);
        let message = refused(&format!("{place} user={user} password=wrong"));
        let expected = format!(
            "could not connect to provider ({place} user={user}): password authentication failed for user \"{user}\" (28P01)"
        );
        assert_eq!(message, expected);
        let message = refused(&format!("{place} user={user} passfile=/nonexistent"));
        assert!(message.contains("the server asks for a password and there is none; put it into"), "{message}");
        assert_eq!(hint(&format!("{place} user={user} passfile=/nonexistent")), "");
        let advice = hint(&format!("{place} user={user} password=wrong"));
        assert_eq!(
            advice,
            "Check user and password in the connection string or the password file, and pg_hba.conf of the server."
        );
    }
    let message = refused(&format!("{place} user=nobody"));
    assert!(message.contains("pg_hba.conf rejects connection") && message.ends_with("(28000)"), "{message}");
}

#[test]
fn password_and_service_files_are_read() {
    let cluster = server();
    let scratch = Scratch::new();
    let port = cluster.port();
    let passfile = scratch.write("pgpass", &format!("other:*:*:*:no\n127.0.0.1:{port}:postgres:scram:se cret'\\\\\n"));
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
    let service = format!("[mine]\nhost=127.0.0.1\nport={port}\nuser=scram\ndbname=postgres\n");
    let service = scratch.write("services", &service);
    let environment = || {
        Environment::of_process()
            .with("PGSERVICEFILE", service.to_str().unwrap())
            .with("PGPASSFILE", passfile.to_str().unwrap())
    };
    let db = connect_in(&environment(), "service=mine").unwrap();
    assert_eq!(value(&db, "select current_user::text"), "scram");
    assert_eq!(value(&db, "select current_setting('application_name')"), "job");
    let db = connect_in(&environment().with("PGSERVICE", "mine").with("PGAPPNAME", "env"), "").unwrap();
    assert_eq!(value(&db, "select current_setting('application_name')"), "env");

    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o644)).unwrap();
    let message = connect_in(&environment(), "service=mine").unwrap_err();
    assert!(message.contains("the server asks for a password and there is none"), "{message}");
}

/// psql, which is a program of libpq, says whether a file may be used.
#[test]
fn password_files_are_used_and_refused_as_by_libpq() {
    let cluster = server();
    let scratch = Scratch::new();
    let line = "*:*:*:scram:se cret'\\\\\n";
    let link = scratch.path().join("link");
    let place = format!("host=127.0.0.1 port={} dbname=postgres user=scram", cluster.port());
    let mut outcomes = Vec::new();
    for mode in [0o600, 0o400, 0o700, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o660, 0o666, 0o777] {
        let file = scratch.write("pgpass", line);
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            let psql = std::process::Command::new(cluster.binaries().program("psql"))
                .args(["-X", "-w", "-c", "select 1", &place])
                .env("PGPASSFILE", path)
                .output()
                .unwrap();
            let environment = Environment::of_process().with("PGPASSFILE", path.to_str().unwrap());
            let ours = connect_in(&environment, &place).map(drop);
            let stderr = String::from_utf8_lossy(&psql.stderr);
            assert_eq!(ours.is_ok(), psql.status.success(), "{mode:o}: {ours:?}\n{stderr}");
            outcomes.push(ours.is_ok());
        }
        fs::remove_file(file).unwrap();
    }
    assert_eq!(outcomes.iter().filter(|used| **used).count(), 6, "{outcomes:?}");
}

#[test]
fn settings_of_the_session_arrive() {
    let cluster = Cluster::provider();
    let place = cluster.conninfo("postgres");
    let db = connect(&format!("{place} options='-c work_mem=3MB -c test.words=a,\\\\ b' application_name=x")).unwrap();
    assert_eq!(value(&db, "select current_setting('work_mem')"), "3MB");
    assert_eq!(value(&db, "select current_setting('test.words')"), "a, b");
    assert_eq!(value(&db, "select current_setting('application_name')"), "x");
    assert_eq!(value(&db, "select current_setting('client_encoding')"), "UTF8");
    block_on(async { drop(db) });
    let message = refused(&format!("{place} dbname=no_such_db"));
    assert!(message.ends_with("database \"no_such_db\" does not exist (3D000)"), "{message}");
}

#[test]
fn peer_of_a_socket_is_checked() {
    let cluster = Cluster::provider();
    let place = cluster.conninfo("postgres");
    let owner = crate::support::run_dir::server_user().map_or_else(
        || nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name,
        |user| user.name.clone(),
    );
    connect(&format!("{place} requirepeer={owner}")).unwrap();
    let message = refused(&format!("{place} requirepeer=somebody"));
    assert!(
        message.ends_with(&format!("requirepeer names \"somebody\", but the server runs as \"{owner}\"")),
        "{message}"
    );
}
