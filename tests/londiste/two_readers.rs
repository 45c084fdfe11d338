//! Two processes under one consumer name: each batch goes to one of them only.

use std::time::Duration;

use crate::support::{Cluster, Database, Job, QUEUE, Replication, Scratch, Session, wait_until, wait_within};

fn first() -> Replication {
    let r = Replication::new().with_schema("create table t (id int primary key, v text)");
    r.provider.sql("insert into t values (1, 'first')");
    r.up()
}

fn rows(db: &Database) -> Vec<String> {
    db.column("select id || ' ' || v from t order by id")
}

/// On a subscriber and on a copy of it.
#[test]
fn two_readers_of_one_consumer_are_noticed() {
    let r = first();
    r.replay_until_in_sync();
    r.londiste.stop();
    let name = format!("{}_copy", r.subscriber.name());
    let copy = Database::existing(Cluster::subscriber(), &name);
    wait_until("nobody is connected to the subscriber", || {
        let postgres = Session::connect(&Cluster::subscriber().socket_conninfo("postgres")).unwrap();
        postgres.try_rows(&format!("create database {name} template {}", r.subscriber.name())).map(drop)
    });
    let dir = Scratch::new();
    let twin = Job::londiste(dir.path(), "db1-londiste", [r.provider.conninfo(), copy.conninfo()], QUEUE);
    r.londiste.start();
    twin.start();
    let said = |job: &Job| {
        let log = job.log();
        log.contains("another process reads as consumer db1-londiste") && log.contains("CRITICAL")
    };
    let mut id = 1;
    wait_within(Duration::from_mins(2), "one of the two stops and names the other", || {
        id += 1;
        r.provider.sql(&format!("insert into t values ({id}, 'x')"));
        std::thread::sleep(Duration::from_millis(100));
        if said(&r.londiste) || said(&twin) {
            return Ok(());
        }
        let tail = |job: &Job| job.log().lines().rev().take(6).collect::<Vec<_>>().join("\n");
        Err(format!("{}\n---\n{}", tail(&r.londiste), tail(&twin)))
    });
    // Nothing is lost unseen: a side that has stopped says so, the other one has every row.
    let expected = rows(&r.provider);
    wait_until("one of them has all rows", || {
        let have = [rows(&r.subscriber), rows(&copy)];
        if have.contains(&expected) { Ok(()) } else { Err(format!("{have:?}")) }
    });
}

/// On one subscriber no batch is applied twice, and no row is lost.
#[test]
fn two_readers_on_one_subscriber_are_noticed() {
    let r = first();
    let dir = Scratch::new();
    let twin = Job::londiste(dir.path(), "db1-londiste", [r.provider.conninfo(), r.subscriber.conninfo()], QUEUE);
    twin.start();
    let said = |job: &Job| job.log().contains("another process reads as consumer db1-londiste");
    let mut id = 1;
    wait_within(Duration::from_mins(2), "one of the two names the other", || {
        id += 1;
        r.provider.sql(&format!("insert into t values ({id}, 'x'); update t set v = v || '.' where id = 1"));
        std::thread::sleep(Duration::from_millis(50));
        if said(&r.londiste) || said(&twin) {
            Ok(())
        } else {
            Err(format!("{}\n---\n{}", r.londiste.log(), twin.log()))
        }
    });
    twin.stop();
    r.provider.sql("insert into t values (0, 'end')");
    r.assert_in_sync();
}
