//! Queues with captured tables: not dropped, and when the queue or its schema is gone all the same, writers are told what
//! ends their errors.

use pretty_assertions::assert_eq;

use crate::support::{QUEUE, Replication};

fn captured() -> Replication {
    let r = Replication::new().with_table("t", "id int primary key").with_table("\"Odd t\"", "id int primary key");
    r.install();
    r.londiste.run("provider add --all");
    r
}

#[test]
fn queue_of_captured_tables_is_not_dropped() {
    let r = captured();
    r.londiste.run("subscriber register");
    let place = r.provider.place();
    for force in ["", " --force"] {
        let stderr = format!(
            "DATE PID INFO Dropping queue: {QUEUE}\n\
             DATE PID CRITICAL Job db1-ticker crashed: could not drop the queue on provider ({place}), queue \"{QUEUE}\": cannot \
             drop queue, tables write to it by triggers (55006)\n\
             DETAIL: Queue: {QUEUE}. Writing to these tables would fail without it.\nCONTEXT: ...\n\
             HINT: End that first: rlondiste INI provider remove public.Odd t; rlondiste INI provider remove public.t.\n"
        );
        let command = format!("drop {QUEUE}{force}");
        r.ticker.program(command.split(' ')).stdout("").stderr(stderr).status(1).run();
    }
    r.provider.sql("insert into t values (1)");
    r.londiste.run("provider remove --all");
    r.ticker.run(&format!("drop {QUEUE} --force"));
    r.provider.sql("insert into t values (2)");
}

/// What the error of a writer says, and that it ends it: the statement in its hint.
#[track_caller]
fn assert_hint_helps(r: &Replication, table: &str) {
    for write in [format!("insert into {table} values (1)"), format!("truncate {table}")] {
        let error = r.provider.error(&write);
        let (code, hint) = (error.code.as_str(), error.hint.as_str());
        assert_eq!(code, "42704", "{error}");
        assert!(error.message.ends_with(&format!("queue \"{QUEUE}\" does not exist")), "{error}");
        let name = format!("public.{}", table.trim_matches('"'));
        let statement = format!("select londiste.provider_remove_table('{QUEUE}', '{name}')");
        assert!(hint.ends_with(&format!(": {statement}")), "{error}");
    }
    let error = r.provider.error(&format!("insert into {table} values (1)"));
    r.provider.sql(&error.hint[error.hint.find("select ").unwrap()..]);
    r.provider.sql(&format!("insert into {table} values (1); truncate {table}"));
}

#[test]
fn writers_are_told_what_to_do_when_schema_pgq_is_gone() {
    let r = captured();
    r.provider.sql("drop schema pgq cascade");
    assert_hint_helps(&r, "t");
    assert_hint_helps(&r, "\"Odd t\"");
}

#[test]
fn writers_are_told_what_to_do_when_the_queue_is_gone() {
    let r = captured();
    r.provider.sql("drop schema pgq cascade");
    r.ticker.run("install");
    assert_hint_helps(&r, "t");
    // With the queue it goes on.
    r.ticker.run(&format!("create {QUEUE}"));
    r.provider.sql("insert into \"Odd t\" values (1)");
    assert_eq!(r.provider.value("select count(*) from pgq.event_1"), "1");
}
