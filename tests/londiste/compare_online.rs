//! `compare --online`: without a lock, without false differences, and nothing that stays different is missed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pretty_assertions::assert_eq;

use crate::support::{Cluster, Replication};

/// Tables whose ranges are cut, in sync.
pub(super) fn in_sync() -> Replication {
    let r = Replication::new().with_schema(
        "create table big (id bigint primary key, v text);
         create table pair (a text, b date, v numeric, primary key (a, b))",
    );
    r.provider.sql(
        "insert into big select i, 'v' || i from generate_series(-100, 120000) i;
         insert into pair select 'k' || i % 700, date '2026-01-01' + i, i from generate_series(1, 3000) i",
    );
    let r = r.up();
    r.replay_until_in_sync();
    r
}

#[test]
fn every_row_that_differs_is_named_and_no_other() {
    let r = in_sync();
    r.londiste.program(["compare", "--online"]).stdout("").run();
    r.subscriber.sql(
        "delete from big where id in (-100, 50000, 120000); insert into big values (-200, 'x'), (200000, 'x');
         update big set v = 'x' where id in (-99, 119999, 60000);
         update pair set v = v + 1 where b = '2026-01-02'; delete from pair where b = '2026-01-03'",
    );
    let stdout = "public.big: 8 rows differ (3 missing, 2 extra, 3 changed)\n";
    let output = r.londiste.program(["compare", "--online", "--jobs", "3"]).status(1).run();
    assert!(output.stdout.contains(stdout), "{}", output.stdout);
    let mut lines: Vec<&str> = output.stdout.lines().filter(|line| line.contains(" = (")).collect();
    lines.sort_unstable();
    let mut expected = vec![
        "public.big (id) = (-100): missing",
        "public.big (id) = (-200): extra",
        "public.big (id) = (-99): changed",
        "public.big (id) = (119999): changed",
        "public.big (id) = (120000): missing",
        "public.big (id) = (200000): extra",
        "public.big (id) = (50000): missing",
        "public.big (id) = (60000): changed",
        "public.pair (a, b) = (k1, 2026-01-02): changed",
        "public.pair (a, b) = (k2, 2026-01-03): missing",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    r.subscriber.sql("truncate pair");
    let output = r.londiste.program(["compare", "--online", "--json", "pair"]).status(1).run();
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (json["tables"][0]["missing"].as_u64(), json["tables"][0]["provider_rows"].as_u64()),
        (Some(3000), Some(3000))
    );
}

/// Runs `block` while two sessions write to table `big`, each hundreds of rows a second.
pub(super) fn under_writers<R>(r: &Replication, block: impl FnOnce() -> R) -> R {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for nr in 0..2 {
            let (stop, provider) = (&stop, &r.provider);
            scope.spawn(move || {
                let session = provider.session();
                let mut i = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    i += 1;
                    let key = (i * 7919 + nr * 31) % 130_000;
                    session.sql(&format!(
                        "begin; delete from big where id = {key}; insert into big values ({key}, 'n{i}');
                         update big set v = v || 'x' where id between {key} - 20 and {key} - 10; commit;
                         insert into big values ({}, 'new')",
                        1_000_000 + i * 2 + nr
                    ));
                    // Replay keeps up: a comparison waits for it.
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        let stopping = StopOnDrop(&stop);
        let result = block();
        drop(stopping);
        result
    })
}

/// Ends the writers, also where the block panics.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn writers_make_no_difference_and_wait_for_nothing() {
    let r = in_sync();
    under_writers(&r, || {
        for _ in 0..2 {
            r.londiste.program(["compare", "--online", "big"]).stdout("").run();
        }
        r.subscriber.sql("update big set v = 'spoiled' where id = -50");
        let output = r.londiste.program(["compare", "--online", "big"]).status(1).run();
        assert!(output.stdout.contains("public.big (id) = (-50): changed\n"), "{}", output.stdout);
        assert_eq!(output.stdout.matches(" = (").count(), 1, "{}", output.stdout);
    });
    // A table that is locked against writers is read.
    let writer = r.provider.session();
    writer.sql("begin; lock table big in share row exclusive mode");
    r.subscriber.sql("update big set v = 'v-50' where id = -50");
    r.replay_until_in_sync();
    r.londiste.program(["compare", "--online", "big"]).stdout("").run();
}

#[test]
fn row_that_is_written_all_the_time_is_compared_at_a_tick() {
    let r = in_sync();
    r.provider.sql("update big set v = '0' where id in (5, 6)");
    r.replay_until_in_sync();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopping = StopOnDrop(&stop);
        for _ in 0..2 {
            let (stop, provider) = (&stop, &r.provider);
            scope.spawn(move || {
                let session = provider.session();
                while !stop.load(Ordering::Relaxed) {
                    // In a savepoint, too.
                    session.sql(
                        "begin; update big set v = v::bigint + 1 where id = 5; commit;
                         begin; savepoint s; update pair set v = v + 1 where b = '2026-01-02'; release s; commit",
                    );
                }
            });
        }
        for _ in 0..3 {
            r.londiste.program(["compare", "--online"]).stdout("").run();
        }
        drop(stopping);
    });
}

/// On a server of its own: a transaction that is open for long, in any database, keeps a difference from being certain.
#[test]
fn row_that_is_written_all_the_time_and_differs_is_found() {
    let provider = Cluster::builder().name("hot").start();
    let r = Replication::between(&provider, Cluster::subscriber())
        .with_table("t", "id int primary key, hot bigint, cold text");
    r.provider.sql("insert into t select i, 0, 'x' from generate_series(1, 100) i");
    let r = r.up();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopping = StopOnDrop(&stop);
        let (stop, provider) = (&stop, &r.provider);
        scope.spawn(move || {
            let session = provider.session();
            while !stop.load(Ordering::Relaxed) {
                session.sql("update t set hot = hot + 1 where id = 5");
            }
        });
        r.londiste.program(["compare", "--online"]).stdout("").run();
        r.subscriber.sql("update t set cold = 'y' where id = 5");
        let stdout = "public.t: 1 rows differ (0 missing, 0 extra, 1 changed)\npublic.t (id) = (5): changed\n";
        r.londiste.program(["compare", "--online"]).stdout(stdout).status(1).run();
        drop(stopping);
    });
}
