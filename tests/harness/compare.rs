use crate::support::{Cluster, compare, compare_tables};

#[test]
fn equal_tables_are_counted() {
    let (provider, subscriber) = (Cluster::provider().database(), Cluster::subscriber().database());
    provider.sql("create table \"Odd one\" (a int, b text); insert into \"Odd one\" values (1, null), (2, '')");
    subscriber.sql("create table \"Odd one\" (b text, a int); insert into \"Odd one\" values ('', 2), (null, 1)");
    assert_eq!(compare(&provider, &subscriber, &compare_tables(&provider)), Ok(2));
}

#[test]
fn differing_rows_are_shown_by_side() {
    let (provider, subscriber) = (Cluster::provider().database(), Cluster::subscriber().database());
    for database in [&provider, &subscriber] {
        database.sql("create table t (a int, b text); insert into t values (1, 'same')");
    }
    provider.sql("insert into t values (2, null)");
    subscriber.sql("insert into t values (2, ''), (3, 'x'), (3, 'x')");
    let report = compare(&provider, &subscriber, &["public.t"]).unwrap_err();
    assert_eq!(
        report,
        "public.t: provider has 2 rows, subscriber 4\n  only on the provider: 1 different rows\n    (2,)\n  \
         only on the subscriber: 2 different rows\n    (2,\"\")\n    (3,x) (2 times)\n"
    );
}

#[test]
fn missing_table_is_a_difference() {
    let (provider, subscriber) = (Cluster::provider().database(), Cluster::subscriber().database());
    provider.sql("create table t (a int)");
    let report = compare(&provider, &subscriber, &["public.t"]).unwrap_err();
    assert!(report.contains("relation \"public.t\" does not exist (42P01)"), "{report}");
}
