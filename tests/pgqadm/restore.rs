//! A dump restored into a cluster with a smaller transaction counter.

use pretty_assertions::assert_eq;

use super::Setup;
use crate::support::{Cluster, Database, dump_and_restore, server_and_client_fit, use_up_transactions};

/// Inserts an event and makes a tick after it.
fn insert(database: &Database, data: &str) {
    database.sql(&format!("select pgq.insert_event('q', 'kind', '{data}')"));
    database.sql("select pgq.force_tick('q')");
}

fn tick(database: &Database) {
    database.sql("select pgq.ticker('q')");
}

/// The data of all events that a consumer gets until there is nothing more for it.
fn read_all(database: &Database, consumer: &str) -> Vec<String> {
    let mut data = Vec::new();
    loop {
        let batch = database.value(&format!("select pgq.next_batch('q', '{consumer}')"));
        if batch == "NULL" {
            return data;
        }
        data.extend(database.column(&format!("select ev_data from pgq.get_batch_events({batch}) order by ev_id")));
        database.sql(&format!("select pgq.finish_batch({batch})"));
    }
}

#[test]
fn restored_queue_is_not_ticked_until_it_is_rebased_and_loses_nothing() {
    let old = Cluster::provider();
    if !server_and_client_fit(old.binaries()) {
        eprintln!("left out: pg_dump is older than the server");
        return;
    }
    let new = Cluster::builder().name("restored").start();
    let source = Setup::on(old);
    use_up_transactions(&source.database.session());
    source.job.run("install");
    source.create_queues(&["q"]);
    for consumer in ["ahead", "behind"] {
        source.database.sql(&format!("select pgq.register_consumer('q', '{consumer}')"));
    }
    insert(&source.database, "read by both");
    tick(&source.database);
    assert_eq!(read_all(&source.database, "ahead"), ["read by both"]);
    assert_eq!(read_all(&source.database, "behind"), ["read by both"]);
    insert(&source.database, "read by one");
    tick(&source.database);
    assert_eq!(read_all(&source.database, "ahead"), ["read by one"]);
    insert(&source.database, "read by none");
    tick(&source.database);
    insert(&source.database, "not ticked");

    let mut setup = Setup::on(&new);
    dump_and_restore(old, &source.database, &setup.database);
    setup.job = setup.job.set("queue_refresh_period", "0.1");
    setup.job.start();
    setup.job.wait_for_log("ERROR no tick is made in queue \"q\": it knows of transaction ");
    setup.job.wait_for_log("HINT: Run \"rlondiste ticker INI rebase q\"; consumers go on where they are.\n");
    setup.database.sql("select pgq.insert_event('q', 'kind', 'since the restore')");
    setup.create_queues(&["other"]);
    let before = setup.last_tick("other");
    setup.wait_for_tick_after("other", before);

    let before = setup.last_tick("q");
    setup.says(
        "rebase q",
        &["DATE PID INFO Rebasing queue q", "DATE PID INFO Queue q is rebased, its consumers go on where they were"],
    );
    insert(&setup.database, "since the rebase");
    let now = setup.wait_for_tick_after("q", before + 1);
    assert!(now > before + 1);
    setup.job.stop();
    let rest = ["read by none", "not ticked", "since the restore", "since the rebase"];
    assert_eq!(read_all(&setup.database, "ahead"), rest);
    assert_eq!(read_all(&setup.database, "behind"), [&["read by one"][..], &rest].concat());

    setup.says(
        "rebase q",
        &["DATE PID INFO Rebasing queue q", "DATE PID INFO Queue q is in order, nothing was changed"],
    );
}

#[test]
fn unknown_queue_cannot_be_rebased() {
    let setup = Setup::installed();
    let output = setup.job.program(["rebase", "nope"]).stdout("").status(1).run();
    assert!(output.stderr.contains("queue \"nope\": No such event queue (42704)"), "{}", output.stderr);
}
