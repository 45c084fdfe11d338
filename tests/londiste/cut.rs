//! A connection that ends at any message of a batch: the daemon comes back, and nothing is lost or applied twice.
//!
//! From opening its sessions to `finish_batch`, each message that replay waits for is lost once, and each that it sends:
//! so it is also tried that the server has done what was asked, and the answer does not arrive.
//!
//! Each run of the tests tries every fourth message, from another one on each time; `CUT_EFFORT=all` tries all.

use crate::support::{Cluster, Proxy, QUEUE, Replication, Traffic, Way, assert_same_rows, effort, wait_until};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Provider,
    Subscriber,
}

/// A table that goes row by row and tells of each change, one that goes as a set, and a sequence.
fn counting(provider: &Cluster, subscriber: &Cluster) -> Replication {
    let r = Replication::between(provider, subscriber)
        .with_schema("create table t (id int primary key, a int); create table log (id serial primary key, what text)");
    r.subscriber.sql(
        "create table seen (what text);
         create function see() returns trigger language plpgsql as
             $$begin insert into seen values (concat_ws(' ', tg_op, new.id, new.a)); return null; end$$;
         create trigger see after insert or update on t for each row execute procedure see()",
    );
    let r = r.up();
    r.londiste.run("subscriber restore-triggers t");
    r.londiste.run("provider add-seq log_id_seq");
    r.londiste.run("subscriber add-seq log_id_seq");
    r.provider.sql("insert into t values (0, 0)");
    r.assert_in_sync();
    wait_until("no snapshot is left", || {
        let left = r.subscriber.column("select table_name from londiste.subscriber_table where snapshot is not null");
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    });
    r.ticker.stop();
    r
}

/// A batch; returns its last tick.
fn change(r: &Replication, run: u64) -> String {
    r.provider.sql(&format!(
        "begin; update t set a = a + 1 where id = 0; insert into t values ({run}, 0);
         insert into log (what) select repeat('x', 300) from generate_series(1, 200);
         update log set what = what || 'y' where id % 10 = 3; delete from log where id % 10 = 7; commit;
         select pgq.force_tick('{QUEUE}')"
    ));
    r.provider.value(&format!("select pgq.ticker('{QUEUE}')"))
}

fn is_finished(r: &Replication, tick: &str) -> bool {
    r.provider.value(&format!("select sub_last_tick = {tick} and sub_batch is null from pgq.subscription")) == "t"
}

/// Whether the connections were cut before the batch was finished.
fn is_cut_before_the_end(r: &Replication, proxy: &Proxy, tick: &str) -> bool {
    let mut cut = false;
    wait_until("the batch is finished or the connection cut", || {
        if is_finished(r, tick) {
            return Ok(());
        }
        cut = proxy.traffic() == Traffic::Forward;
        if cut { Ok(()) } else { Err("neither".to_owned()) }
    });
    cut
}

fn cut_at_every_message(side: Side, way: Way) {
    let (first, step) = effort::cases("CUT_EFFORT", 4);
    let message = |run: u64| u64::try_from(first).unwrap() + u64::try_from(step).unwrap() * (run - 1);
    let cluster = Cluster::builder().name("cut").tcp().start();
    let proxy = Proxy::to_cluster(&cluster);
    let mut r = match side {
        Side::Provider => counting(&cluster, Cluster::subscriber()),
        Side::Subscriber => counting(Cluster::provider(), &cluster),
    };
    r.londiste.stop();
    let (key, database) = match side {
        Side::Provider => ("provider_db", r.provider.name()),
        Side::Subscriber => ("subscriber_db", r.subscriber.name()),
    };
    let conninfo = proxy.conninfo(database);
    r.londiste.configure(key, &conninfo);
    // Nothing but the tick, or the end of the pause after an error, wakes it.
    r.londiste.configure("loop_delay", "10");
    let mut lost = Vec::new();
    for run in 1.. {
        let tick = change(&r, run);
        proxy.set_traffic(Traffic::CutOnceAfter(way, message(run)));
        r.londiste.start();
        let cut = is_cut_before_the_end(&r, &proxy, &tick);
        if cut {
            // Cuts the pause short, too.
            r.londiste.wait_for_log("crashed: ");
            r.londiste.reload();
            wait_until("the batch is finished", || if is_finished(&r, &tick) { Ok(()) } else { Err("it is not") });
        }
        assert_same_rows(&r.provider, &r.subscriber, &["t", "log"]);
        assert_eq!(
            r.subscriber.rows("select count(*), count(distinct what) from seen"),
            vec![vec![(2 * run + 1).to_string(); 2]],
            "cut after {lost:?} messages"
        );
        let stand = "select last_value, is_called from log_id_seq";
        assert_eq!(r.provider.rows(stand), r.subscriber.rows(stand));
        r.londiste.stop();
        if !cut {
            break;
        }
        lost.push(message(run));
    }
    println!("cut after {lost:?} messages");
    assert!(lost.last() > Some(&10), "cut only after {lost:?} messages");
}

#[test]
fn an_answer_of_the_provider_is_lost() {
    cut_at_every_message(Side::Provider, Way::ToClient);
}

#[test]
fn a_question_to_the_provider_is_lost() {
    cut_at_every_message(Side::Provider, Way::ToServer);
}

#[test]
fn an_answer_of_the_subscriber_is_lost() {
    cut_at_every_message(Side::Subscriber, Way::ToClient);
}

#[test]
fn a_question_to_the_subscriber_is_lost() {
    cut_at_every_message(Side::Subscriber, Way::ToServer);
}
