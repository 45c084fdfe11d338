//! Databases with encoding SQL_ASCII, whose texts are bytes of any encoding.

use crate::support::{Cluster, Database, Replication, wait_until};

const SCHEMA: &str = "create table t (id int primary key, v text); create table by_text (k text primary key, v varchar(20));
                      create table \"many types\" (id int primary key, v text, n numeric, a text[], j json, x xml, c regclass)";

/// `é` in LATIN1, as a value.
const LATIN: &str = "pg_catalog.convert_from('\\xe9', 'SQL_ASCII')";

fn rows(database: &Database, table: &str) -> Vec<String> {
    let row = format!("select encode(convert_to(x::text, 'SQL_ASCII'), 'escape') from {table} x order by 1");
    database.column(&row)
}

/// Writes rows whose numbers begin at `nr`.
fn write(provider: &Database, nr: u32) {
    provider.sql(&format!(
            "insert into t values ({nr}, {LATIN} || '''\\ é'), ({nr} + 1, 'plain'), ({nr} + 2, {LATIN});
             insert into by_text values ({LATIN} || {nr}, {LATIN}), ('gone' || {LATIN} || {nr}, '');
             insert into \"many types\" values ({nr}, {LATIN}, 1.50, array[{LATIN}, null], ('\"' || {LATIN} || '\"')::json, null, 'pg_class');
             update t set v = {LATIN} || v where id > {nr}; update by_text set k = {LATIN} || k where v <> '';
             delete from by_text where v = ''"
        ));
}

#[track_caller]
fn assert_same_bytes(r: &Replication) {
    r.replay_until_in_sync();
    for table in ["t", "by_text", "\"many types\""] {
        pretty_assertions::assert_eq!(rows(&r.provider, table), rows(&r.subscriber, table), "{table}");
    }
}

#[test]
fn bytes_stay_as_they_are_between_two_such_databases() {
    let r = Replication::of(Cluster::provider().database_of_bytes(), Cluster::subscriber().database_of_bytes());
    let r = r.with_schema(SCHEMA);
    write(&r.provider, 10);
    let r = r.up();
    assert_same_bytes(&r);
    for nr in [20, 30] {
        write(&r.provider, nr);
        assert_same_bytes(&r);
    }
    r.londiste.program(["compare", "--checksum"]).run();
    // Differences in such values are found and mended.
    r.subscriber.sql(&format!("update t set v = {LATIN} || '!' where id = 10; delete from by_text where k like '%30'"));
    r.londiste.program(["compare", "--checksum"]).status(1).run();
    r.londiste.run("repair --apply");
    assert_same_bytes(&r);
}

#[test]
fn value_that_is_not_utf8_is_named_for_a_subscriber_that_takes_no_other() {
    let r = Replication::of(Cluster::provider().database_of_bytes(), Cluster::subscriber().database());
    let r = r.with_schema(SCHEMA);
    r.provider.sql(&format!(
        "insert into t values (1, 'é'), (2, 'caf' || {LATIN}), (3, 'x'); insert into by_text values ('é', 'ü')"
    ));
    r.install();
    r.start();
    r.add("--all");
    let place = r.provider.place();
    r.londiste.wait_for_log(&format!(
        "public.t: a value on provider ({place}) is not UTF-8, key id=2, column v=caf\u{fffd}\n\
         HINT: The subscriber's database takes no other bytes. Correct the value on the provider, or give the subscriber a database with \
         encoding SQL_ASCII."
    ));
    r.provider.sql("update t set v = 'café' where id = 2");
    r.wait_until_ok();
    r.assert_in_sync();
    r.provider.sql(&format!(
        "insert into by_text values ('ok', 'ö'), ('n' || {LATIN}, 'x'); update t set v = {LATIN} where id = 3"
    ));
    r.londiste.wait_for_log("to table \"public.by_text\", key k=n\u{fffd} on subscriber");
    r.londiste.wait_for_log(", column \"k\": invalid byte sequence for encoding \"UTF8\": 0xe9 (22021)");
    let skip = || {
        let log = r.londiste.log();
        let (_, advice) = log.rsplit_once("subscriber skip-event ").expect("the advice");
        let event: String = advice.chars().take_while(char::is_ascii_digit).collect();
        r.londiste.run(&format!("subscriber skip-event {event}"));
    };
    skip();
    r.londiste.wait_for_log("to table \"public.t\", key id=3 on subscriber");
    skip();
    wait_until("the rest has arrived", || match rows(&r.subscriber, "by_text") {
        rows if rows.len() == 2 => Ok(()),
        rows => Err(format!("{rows:?}")),
    });
}
