//! Ends of the three `install` commands, on empty databases and as upgrades, and of the upgrade at replay's start.

use super::{End, assert_left, killed_at, places_of};
use crate::support::{Database, QUEUE, Replication, wait_until};

/// A command, the places where it ends one time after the other, and what is left each time on empty databases: provider's schemas and
/// queue, subscriber's schema. Then the command is repeated.
const FRESH: &[(&str, &[End])] = &[
    (
        "install",
        &[
            ("install install::file", "no pgq | no londiste | no queue | no londiste"),
            ("install install::file 10*off->return", "no pgq | no londiste | no queue | no londiste"),
            ("install install::pgq", "no pgq | no londiste | no queue | no londiste"),
            ("install install::pgq_committed", "pgq | no londiste | no queue | no londiste"),
        ],
    ),
    (
        "provider install",
        &[
            ("provider install install::provider_pgq", "pgq | no londiste | no queue | no londiste"),
            ("provider install install::file 10*off->return", "pgq | no londiste | no queue | no londiste"),
            ("provider install install::provider_londiste", "pgq | no londiste | no queue | no londiste"),
            ("provider install install::provider_queue", "pgq | no londiste | no queue | no londiste"),
            ("provider install install::provider_committed", "pgq | londiste | queue | no londiste"),
        ],
    ),
    (
        "subscriber install",
        &[
            ("subscriber install install::file", "pgq | londiste | queue | no londiste"),
            ("subscriber install install::subscriber_londiste", "pgq | londiste | queue | no londiste"),
            ("subscriber install install::subscriber_committed", "pgq | londiste | queue | londiste"),
        ],
    ),
];

/// The same for an upgrade: which schemas are upgraded, and how many of the two captured tables have new functions; last, what the
/// repetition leaves.
const UPGRADE: &[(&str, &[End], &str)] = &[
    (
        "replay",
        &[("replay install::upgraded_by_replay", "old pgq | old londiste | 0 tables | old londiste")],
        "old pgq | old londiste | 0 tables | londiste",
    ),
    (
        "install",
        &[
            ("install install::file", "old pgq | old londiste | 0 tables | londiste"),
            ("install install::pgq", "old pgq | old londiste | 0 tables | londiste"),
            ("install install::pgq_committed", "pgq | old londiste | 0 tables | londiste"),
        ],
        "pgq | old londiste | 0 tables | londiste",
    ),
    (
        "provider install",
        &[
            ("provider install install::provider_pgq", "pgq | old londiste | 0 tables | londiste"),
            ("provider install install::provider_queue", "pgq | old londiste | 0 tables | londiste"),
            ("provider install install::provider_committed", "pgq | londiste | 0 tables | londiste"),
            ("provider install install::capture_refreshed", "pgq | londiste | 1 tables | londiste"),
        ],
        "pgq | londiste | 2 tables | londiste",
    ),
];

pub(super) fn places() -> Vec<&'static str> {
    let fresh = FRESH.iter().map(|(_, ends)| *ends);
    let ends = fresh.chain(UPGRADE.iter().map(|(_, ends, _)| *ends));
    places_of(ends.flatten().map(|(end, _)| end))
}

/// Runs the command's job until it ends at the place.
fn end(r: &Replication, end: &str) {
    let job = if end.starts_with("install ") { &r.ticker } else { &r.londiste };
    killed_at(job, &[&r.provider, &r.subscriber], end);
}

fn repeat(r: &Replication, command: &str) {
    match command {
        "install" => drop(r.ticker.run(command)),
        "replay" => {
            r.londiste.start();
            wait_until("replay has upgraded the schema", || match upgraded(r) {
                left if left.ends_with("| londiste") => Ok(()),
                left => Err(left),
            });
            r.londiste.stop();
        }
        _ => drop(r.londiste.run(command)),
    }
}

fn fresh(r: &Replication) -> String {
    let schema = |database: &Database, name: &str| {
        let sql = format!("select count(*) from pg_namespace where nspname = '{name}'");
        format!("{}{name}", if database.value(&sql) == "0" { "no " } else { "" })
    };
    let pgq = schema(&r.provider, "pgq");
    let queue = pgq == "pgq" && r.provider.value("select count(*) from pgq.queue") == "1";
    let (theirs, ours) = (schema(&r.provider, "londiste"), schema(&r.subscriber, "londiste"));
    format!("{pgq} | {theirs} | {} | {ours}", if queue { "queue" } else { "no queue" })
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn nothing_or_all_is_installed_whenever_the_command_ends() {
    let r = Replication::new();
    for (command, ends) in FRESH {
        for (place, left) in *ends {
            end(&r, place);
            assert_left(place, left, &fresh(&r));
        }
        repeat(&r, command);
    }
    let r = r.with_table("t", "id int primary key");
    r.provider.sql("insert into t values (1)");
    r.install();
    r.start();
    r.add("t");
    r.wait_until_ok();
    r.provider.sql("insert into t values (2)");
    r.assert_in_sync();
}

/// Makes the schemas those of other files, and the capture functions of both tables those of another generator.
fn age(r: &Replication) {
    r.provider.sql(&format!(
        "do $$ begin
             execute replace(pg_get_functiondef('londiste.capture_function'::regproc), 'Generated by', 'Made long ago by');
         end $$;
         select londiste.provider_maintain('{QUEUE}');
         comment on function pgq.rlondiste_version() is 'old';
         comment on function londiste.rlondiste_version() is 'old'"
    ));
    r.subscriber.sql("comment on function londiste.rlondiste_version() is 'old'");
}

fn upgraded(r: &Replication) -> String {
    let schema = |database: &Database, name: &str| {
        let sql = format!("select obj_description('{name}.rlondiste_version()'::regprocedure, 'pg_proc')");
        format!("{}{name}", if database.value(&sql) == "old" { "old " } else { "" })
    };
    let tables = r.provider.value(
        "select count(distinct tgrelid) from pg_trigger t join pg_proc p on p.oid = t.tgfoid
          where t.tgrelid in ('t'::regclass, 'u'::regclass) and p.prosrc like '%Generated by%'",
    );
    let (pgq, theirs) = (schema(&r.provider, "pgq"), schema(&r.provider, "londiste"));
    format!("{pgq} | {theirs} | {tables} tables | {}", schema(&r.subscriber, "londiste"))
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn nothing_or_all_is_upgraded_whenever_the_command_ends() {
    let r = Replication::new().with_schema("create table t (id int primary key); create table u (id int primary key)");
    let r = r.up();
    r.ticker.stop();
    r.londiste.stop();
    age(&r);
    assert_eq!(upgraded(&r), "old pgq | old londiste | 0 tables | old londiste");
    let mut id = 0;
    for (command, ends, repeated) in UPGRADE {
        for (place, left) in *ends {
            end(&r, place);
            assert_left(place, left, &upgraded(&r));
            // Old functions and new ones work with either schema.
            id += 1;
            r.provider.sql(&format!("insert into t values ({id}); insert into u values ({id})"));
        }
        repeat(&r, command);
        assert_left(command, repeated, &upgraded(&r));
    }
    r.start();
    r.assert_in_sync();
}
