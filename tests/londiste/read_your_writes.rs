//! `londiste.wait_visible`: who has written on the provider reads it on the subscriber.

use std::thread;

use pretty_assertions::assert_eq;

use crate::support::{QUEUE, Replication};

fn replication() -> Replication {
    Replication::new().with_table("t", "id int primary key, v text").up()
}

#[test]
fn changes_of_a_transaction_are_read_after_the_wait() {
    let r = replication();
    r.subscriber.sql("create role reads_own_writes; grant select on t to reads_own_writes");
    thread::scope(|scope| {
        for client in 0..3 {
            let r = &r;
            scope.spawn(move || {
                let writer = r.provider.session();
                let reader = r.subscriber.session();
                // No rights in schema londiste are needed.
                reader.sql("set role reads_own_writes");
                for i in 0..40 {
                    let id = client * 1000 + i;
                    // Small batches go another way than big ones.
                    let rows = if i % 10 == 9 { 3000 } else { 1 };
                    writer.sql(&format!(
                        "begin; insert into t select {id} + 10000 * n, 'v' from generate_series(1, {rows}) n"
                    ));
                    let txid = writer.value("select txid_current()");
                    writer.sql("commit");
                    let sql = format!("select londiste.wait_visible({txid}, '60 seconds')");
                    assert_eq!(reader.value(&sql), "t");
                    let sql = format!("select count(*) from t where id % 10000 = {id}");
                    assert_eq!(reader.value(&sql), rows.to_string());
                }
            });
        }
    });
}

#[test]
fn wait_ends_when_its_time_is_over() {
    let r = replication();
    let writer = r.provider.session();
    let write = |id: u32| -> String {
        writer.sql(&format!("begin; insert into t values ({id}, 'v')"));
        let txid = writer.value("select txid_current()");
        writer.sql("commit");
        txid
    };
    let first = write(1);
    r.replay_until_in_sync();
    let sql = format!(
        "select tick_snapshot is not null, tick_time between now() - interval '1 hour' and now() from londiste.applied('{QUEUE}')"
    );
    assert_eq!(r.subscriber.try_rows(&sql).unwrap(), [["t", "t"]]);
    r.londiste.stop();
    let txid = write(2);
    for queue in ["null", &format!("'{QUEUE}'")] {
        let sql = format!("select londiste.wait_visible({txid}, '0.3 seconds', {queue})");
        assert_eq!(r.subscriber.value(&sql), "f");
    }
    assert_eq!(r.subscriber.value("select count(*) from t where id = 2"), "0");
    // A transaction of before is visible without any wait.
    assert_eq!(r.subscriber.value(&format!("select londiste.wait_visible({first}, '0')")), "t");
    let error = |sql: &str| r.subscriber.try_rows(sql).unwrap_err().code;
    assert_eq!(
        error("begin isolation level repeatable read; select londiste.wait_visible(1, '0')"),
        "25001",
        "its snapshot stands still"
    );
    assert_eq!(error("select londiste.wait_visible(1, '0', 'other')"), "42704");
    r.subscriber.sql("insert into londiste.queue_consumer values ('other', 'another')");
    assert_eq!(error("select londiste.wait_visible(1, '0')"), "42704");
    assert_eq!(r.subscriber.value(&format!("select londiste.wait_visible({first}, '0', '{QUEUE}')")), "t");
}
