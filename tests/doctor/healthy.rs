//! A healthy pair: everything ok, nothing changed.

use std::collections::BTreeSet;
use std::fs;

use pretty_assertions::assert_eq;

use super::{Clinic, examine};
use crate::support::{client_at, client_reads, wait_until};

/// The rows of the reference that these ini files have.
fn documented(of: &[&str]) -> BTreeSet<String> {
    let reference = rlondiste::doctor::reference();
    let rows = reference.lines().skip(2).map(|line| line.split(" | ").collect::<Vec<_>>());
    let is_of = |row: &Vec<&str>| of.contains(&row[1]);
    rows.filter(is_of).map(|row| row[0].trim_matches(['|', ' ', '`']).to_owned()).collect()
}

#[test]
fn everything_is_ok_and_every_check_has_a_finding() {
    let clinic = Clinic::open();
    let named = |job| examine(job).into_iter().map(|finding| finding.check).collect::<BTreeSet<_>>();
    let of_replication = named(&clinic.r.londiste);
    assert!(of_replication.len() >= 40, "{of_replication:?}");
    assert_eq!(of_replication, documented(&["all", "`[londiste]`"]));
    assert_eq!(named(&clinic.r.ticker), documented(&["all"]));

    // What a person and a plugin see.
    let number = of_replication.len();
    let londiste = &clinic.r.londiste;
    londiste.program(["doctor"]).stdout(format!("{number} checks: {number} ok\n")).stderr("").run();
    londiste.program(["doctor", "--nagios"]).stdout(format!("OK - {number} checks: {number} ok\n")).stderr("").run();
    let text = londiste.program(["doctor", "-v"]).stderr("").run().stdout;
    assert!(text.lines().count() > number, "{text}");
    let ok = |line: &&str| line.starts_with("ok       ");
    assert_eq!(text.lines().filter(ok).count() + 2, text.lines().count(), "{text}");
    // The facts that have no other level.
    for fact in ["rows/s since", "all tables are replicated", "the values of all sequences are replicated"] {
        assert!(text.contains(fact), "{text}");
    }
    let output = clinic.r.ticker.program(["doctor", "--nagios", "--json"]).stdout("").status(2).run();
    assert!(output.stderr.contains("--nagios and --json cannot be used together"), "{}", output.stderr);
}

/// The settings of queues and positions move by themselves while the daemons run, so they are stopped.
#[test]
fn nothing_is_changed() {
    let clinic = Clinic::open();
    clinic.r.londiste.stop();
    clinic.r.ticker.stop();
    clinic.r.provider.log_statements();
    let dump = |n: usize| {
        let sides = [(&clinic.provider, &clinic.r.provider), (&clinic.subscriber, &clinic.r.subscriber)];
        sides.map(|(cluster, database)| {
            // A pg_dump that is older than the server refuses it.
            if !client_reads(cluster.binaries()) {
                return String::new();
            }
            let file = clinic.r.scratch().path().join(format!("dump-{}-{n}", database.name()));
            client_at(cluster, "pg_dump", database.conninfo(), &["-f", file.to_str().unwrap()]);
            let text = fs::read_to_string(file).unwrap();
            // A new key for each dump, which psql is restricted by.
            text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
        })
    };
    let transactions = || {
        // The end of a snapshot, since txid_current() would use up an id.
        let next = "select txid_snapshot_xmax(txid_current_snapshot())";
        [&clinic.provider, &clinic.subscriber].map(|cluster| cluster.value(next))
    };
    // Nothing else may use up ids meanwhile.
    for cluster in [&clinic.provider, &clinic.subscriber] {
        cluster.append_conf("autovacuum = off");
        cluster.reload();
        wait_until("autovacuum is off", || {
            let workers = "select count(*) from pg_stat_activity where backend_type = 'autovacuum worker'";
            match (cluster.value("show autovacuum"), cluster.value(workers)) {
                (setting, workers) if setting == "off" && workers == "0" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
    let before = (dump(1), transactions());
    // In this mode nothing but ACCESS SHARE is granted to others. Taken on all tables, partitions of the queue too.
    let held = [&clinic.r.provider, &clinic.r.subscriber].map(|database| {
        let session = database.session();
        let tables = "select oid::regclass from pg_class where relkind in ('r', 'p') and relnamespace in
                          (select oid from pg_namespace where nspname in ('public', 'pgq', 'londiste'))";
        let tables = session.column(tables).join(", ");
        session.sql(&format!("begin; lock table {tables} in exclusive mode"));
        session
    });
    let logged = clinic.provider.log().len();
    for job in [&clinic.r.londiste, &clinic.r.ticker] {
        let findings = examine(job);
        assert!(findings.iter().all(|finding| finding.level != "unknown"), "{findings:#?}");
    }
    drop(held);
    // A statement of several lines goes on behind tabs.
    let sent = clinic.provider.log().split_off(logged).replace("\n\t", " ");
    assert!(before == (dump(2), transactions()), "something was changed");
    let reads = ["set default_transaction_read_only = on", "select ", "with ", "set search_path", "set "];
    for line in sent.lines().filter(|line| line.contains(" doctor ")) {
        let Some((_, statement)) = line.split_once("statement: ").or_else(|| line.split_once("execute <unnamed>: "))
        else {
            continue;
        };
        assert!(reads.iter().any(|read| statement.trim_start().starts_with(read)), "{line}");
    }
    assert!(sent.contains("default_transaction_read_only = on"), "{sent}");
}
