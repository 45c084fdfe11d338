//! Servers and settings: versions, encodings, roles, a server that is down.

use super::{Clinic, bad, examine, wait_for};
use crate::support::{Cluster, Database, KEPT, LoginOptions, PoolMode, Pooler, Replication, Shutdown};

#[test]
fn settings_and_schemas_that_do_not_fit_are_named_and_mended() {
    let clinic = Clinic::open();
    let (provider, subscriber) = (&clinic.r.provider, &clinic.r.subscriber);
    let name = provider.name();

    provider.sql(&format!("alter role postgres in database {name} set statement_timeout = '10s'"));
    let finding = clinic.finds_and_mends("role-settings");
    assert_eq!(
        (finding.level.as_str(), finding.object),
        ("warning", format!("provider role postgres in database {name}"))
    );

    provider.sql("create role app; alter role app set session_replication_role = replica");
    let finding = clinic.finds_and_mends("role-settings");
    assert_eq!(finding.level, "error");

    clinic.subscriber.append_conf("autovacuum = off");
    clinic.subscriber.reload();
    clinic.finds_and_mends("autovacuum");

    let version = |version: &str| {
        subscriber.sql(&format!(
            "create or replace function londiste.rlondiste_version() returns text language sql as 'select ''{version}''::text'"
        ));
    };
    version("0.0.1");
    let finding = clinic.finds_and_mends("londiste-schema");
    assert_eq!((finding.level.as_str(), finding.object.as_str()), ("warning", "subscriber"));
    version("99.0");
    let found = clinic.wait_for(&["londiste-schema"]);
    assert_eq!((found[0].level.as_str(), found[0].fact.contains("is newer than this program")), ("error", true));
    version(env!("CARGO_PKG_VERSION"));
    clinic.wait_for(&[]);

    if provider.major() >= 12 && provider.value("select count(*) > 0 from pg_collation where collprovider = 'i'") == "t"
    {
        let sql = "create collation blurred (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                   create table words (word text collate blurred primary key)";
        provider.sql(sql);
        subscriber.sql(sql);
        clinic.r.add("words");
        let found = clinic.wait_for(&["key-collation"]);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}

#[test]
fn subscriber_of_another_encoding_is_named() {
    let [provider, subscriber] = ["utf8", "latin1"].map(|name| Cluster::builder().name(name).start());
    subscriber.sql("create database latin template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'");
    let r = Replication::of(provider.database(), Database::existing(&subscriber, "latin"));
    let r = r.with_table("t", "id int primary key").up();
    let found = wait_for(&r.londiste, &["encoding"]);
    assert!(found[0].fact.starts_with("the provider has encoding UTF8, the subscriber LATIN1"), "{found:?}");
}

#[test]
fn behind_a_pooler_each_check_is_read_only_and_leaves_nothing() {
    if !Pooler::is_installed() {
        return;
    }
    let mut clinic = Clinic::open();
    let pooler = |database: &Database| Pooler::start(&[database], PoolMode::Transaction, 2, LoginOptions::Ignored);
    let (there, here) = (pooler(&clinic.r.provider), pooler(&clinic.r.subscriber));
    let conninfos = [there.conninfo(&clinic.r.provider), here.conninfo(&clinic.r.subscriber)];
    clinic.r.londiste.configure("provider_db", &conninfos[0]);
    clinic.r.londiste.configure("subscriber_db", &conninfos[1]);
    clinic.wait_for(&[]);
    let facts = examine(&clinic.r.londiste);
    let between =
        |finding: &&super::Finding| finding.check == "pooler" && finding.fact == "a transaction pooler is between";
    assert_eq!(facts.iter().filter(between).count(), 2);
    clinic.r.subscriber.sql("alter table plain alter column v set not null");
    clinic.finds_and_mends("not-null");
    let transactions = || clinic.subscriber.value("select txid_snapshot_xmax(txid_current_snapshot())");
    clinic.r.londiste.stop();
    let before = transactions();
    clinic.wait_for(&["process"]);
    assert_eq!(transactions(), before);
    for (pooler, database) in [(&there, &clinic.r.provider), (&here, &clinic.r.subscriber)] {
        for session in pooler.all_sessions(database) {
            // The pooler itself sets the name of the application for each client.
            let mut kept = session.column(KEPT);
            kept.retain(|line| !line.starts_with("setting application_name"));
            assert!(kept.is_empty(), "{kept:?}");
            let settings =
                "select current_setting('default_transaction_read_only') || current_setting('statement_timeout')";
            assert_eq!(session.value(settings), "off0");
        }
    }
}

#[test]
fn checks_that_need_a_server_that_is_down_are_unknown() {
    let clinic = Clinic::open();
    clinic.provider.stop(Shutdown::Fast);
    let found = bad(&examine(&clinic.r.londiste));
    let of_level = |level: &str| found.iter().filter(|finding| finding.level == level).collect::<Vec<_>>();
    let [connection] = of_level("error")[..] else { panic!("{found:#?}") };
    assert_eq!((connection.check.as_str(), connection.object.as_str()), ("connection", "provider"));
    let unknown = of_level("unknown");
    assert!(unknown.len() > 40, "{found:#?}");
    assert!(unknown.iter().all(|finding| finding.fact.contains("no connection to provider")), "{found:#?}");
    assert!(of_level("warning").is_empty(), "{found:#?}");

    // One line for what has one reason.
    let text = clinic.r.londiste.program(["doctor"]).status(2).run().stdout;
    assert_eq!(text.matches("no connection to provider").count(), 1, "{text}");
    clinic.provider.start();
    clinic.wait_for(&[]);
}
