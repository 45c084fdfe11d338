//! Ends of `up` and `down`, between their own steps and inside the commands that they are made of. Then `up` is repeated, and both sides
//! are equal; `down` is, and both catalogs are as before.

use super::{End, assert_left, killed_at, places_of};
use crate::support::{Cluster, Database, Job, Replication, shop};
use crate::up::{can_dump, catalog, end_of_up};

/// What is left: schemas and tables of the set on the provider, tables on the subscriber and subscribed ones.
const UP: &[End] = &[
    ("up --schema up::schema_copied", "no schemas | 6 tables, none subscribed"),
    ("up --schema install::provider_londiste", "no schemas | 6 tables, none subscribed"),
    ("up --schema install::provider_committed", "londiste pgq, 0 in the set | 6 tables, none subscribed"),
    ("up --schema install::subscriber_committed", "londiste pgq, 0 in the set | 6 tables, 0 subscribed"),
    ("up --schema registration::position_deleted", "londiste pgq, 0 in the set | 6 tables, 0 subscribed"),
    ("up --schema up::tables_noted", "londiste pgq, 0 in the set | 6 tables, 0 subscribed"),
    ("up --schema provider::added 1*off->return", "londiste pgq, 2 in the set | 6 tables, 0 subscribed"),
    ("up --schema subscriber::added 3*off->return", "londiste pgq, 6 in the set | 6 tables, 4 subscribed"),
    ("up --schema copy::rows_copied", "londiste pgq, 6 in the set | 6 tables, 6 subscribed"),
];

const DOWN: &[End] = &[
    ("down subscriber::removed", "londiste pgq, 6 in the set | 6 tables, 5 subscribed"),
    ("down registration::tables_reset", "londiste pgq, 6 in the set | 6 tables, 0 subscribed"),
    ("down provider::removed 2*off->return", "londiste pgq, 3 in the set | 6 tables, 0 subscribed"),
    ("down down::dropped", "londiste pgq, 0 in the set | 6 tables, 0 subscribed"),
    ("down down::provider_left", "no schemas | 6 tables, 0 subscribed"),
];

pub(super) fn places() -> Vec<&'static str> {
    let own = |place: &&str| place.starts_with("up::") || place.starts_with("down::");
    places_of(UP.iter().chain(DOWN).map(|(end, _)| end)).into_iter().filter(own).collect()
}

fn left(provider: &Database, subscriber: &Database) -> String {
    const SCHEMAS: &str = "select coalesce(string_agg(nspname, ' ' order by nspname), 'no schemas') from pg_namespace
                            where nspname in ('pgq', 'londiste')";
    let count = |database: &Database, table: &str| match database
        .value("select to_regnamespace('londiste') is null")
        .as_str()
    {
        "t" => None,
        _ => Some(database.value(&format!("select count(*) from londiste.{table}"))),
    };
    let mut there = provider.value(SCHEMAS);
    if let Some(count) = count(provider, "provider_table") {
        there.push_str(&format!(", {count} in the set"));
    }
    let tables = subscriber.value("select count(*) from pg_tables where schemaname = 'public'");
    let subscribed = count(subscriber, "subscriber_table").unwrap_or_else(|| "none".to_owned());
    format!("{there} | {tables} tables, {subscribed} subscribed")
}

#[test]
fn up_and_down_are_repeated_after_each_end() {
    if !can_dump(Cluster::provider()) {
        return;
    }
    let r = Replication::between(Cluster::provider(), Cluster::subscriber());
    shop::open(&r.provider);
    let job: &Job = &r.londiste;
    let databases = [&r.provider, &r.subscriber];
    let before = catalog(&r.provider);
    for (end, expected) in UP {
        killed_at(job, &databases, end);
        assert_left(end, expected, &left(&r.provider, &r.subscriber));
    }
    end_of_up(job.program(["up", "-d", "--schema"]));
    r.provider.sql("update customers set name = name || '!'; delete from order_lines where line = 2");
    r.assert_in_sync();
    let schema_and_rows = catalog(&r.subscriber);
    for (end, expected) in DOWN {
        killed_at(job, &databases, end);
        assert_left(end, expected, &left(&r.provider, &r.subscriber));
    }
    job.run("down");
    assert_eq!(catalog(&r.provider), before);
    // The tables and rows that were copied stay.
    let own = |line: &String| ["pgq", "londiste"].iter().any(|schema| line.contains(schema));
    let rest: Vec<String> = schema_and_rows.into_iter().filter(|line| !own(line)).collect();
    assert_eq!(catalog(&r.subscriber), rest);
}
