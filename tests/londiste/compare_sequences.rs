//! `compare` of subscribed sequences.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pretty_assertions::assert_eq;

use crate::support::Replication;

#[test]
fn sequences_that_differ_are_told_and_those_in_use_are_not() {
    let r = Replication::new().with_schema(
        "create table t (id int primary key); create sequence up; create sequence down increment -1; create sequence \"Used One\"",
    );
    r.provider.sql("insert into t values (1); select nextval('up'), nextval('down') from generate_series(1, 50)");
    let r = r.up();
    r.londiste.run("provider add-seq --all");
    r.londiste.run("subscriber add-seq --all");
    r.provider.sql("select nextval('up'); insert into t values (2)");
    r.replay_until_in_sync();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let session = r.provider.session();
            while !stop.load(Ordering::Relaxed) {
                session.sql("select nextval('\"Used One\"')");
            }
        });
        for command in [&["compare"][..], &["compare", "--checksum"], &["compare", "--online"]] {
            let output = r.londiste.program(command).stdout("").run();
            assert!(!output.stderr.contains("Sequence"), "{}", output.stderr);
        }
        // Replay sets only what has changed on the provider.
        r.subscriber.sql("select setval('up', 7), setval('down', -1000)");
        let warnings = [
            "WARNING Sequence public.up: the subscriber's value is less than the provider's: srcdb: 51, dstdb: 7\n",
            "WARNING Sequence public.down: the subscriber's value is less than the provider's: srcdb: -50, dstdb: -1000\n",
        ];
        for command in [&["compare"][..], &["compare", "--checksum"], &["compare", "--online"]] {
            let output = r.londiste.program(command).stdout("").status(1).run();
            for warning in warnings {
                assert!(output.stderr.contains(warning), "{command:?}\n{}", output.stderr);
            }
            assert_eq!(output.stderr.matches("Sequence").count(), 2, "{}", output.stderr);
        }
        let output = r.londiste.program(["compare", "--online", "--json"]).status(1).run();
        stop.store(true, Ordering::Relaxed);
        let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let expected = serde_json::json!([
            {"sequence": "public.down", "provider": -50, "subscriber": -1000, "is_less": true},
            {"sequence": "public.up", "provider": 51, "subscriber": 7, "is_less": true},
        ]);
        assert_eq!(json["sequences"], expected);
    });
    // Named tables are compared without sequences.
    r.londiste.program(["compare", "t"]).stdout("").run();
}
