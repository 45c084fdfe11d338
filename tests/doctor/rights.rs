//! Roles that lack a right.

use super::{Clinic, bad, examine};

#[test]
fn missing_rights_are_named_with_the_statement_that_gives_them() {
    let mut clinic = Clinic::open();
    let provider = &clinic.r.provider;
    // A key that was chosen is known to whoever may replay.
    let keyless = "create table chosen (a int not null, b text); create index on chosen (a)";
    provider.sql(keyless);
    clinic.r.subscriber.sql(keyless);
    clinic.r.londiste.run("provider add chosen --key=a");
    clinic.r.londiste.run("subscriber add chosen");
    clinic.wait_for(&[]);
    provider.sql(
        "create role reader login;
         grant pg_read_all_stats to reader;
         grant select on all tables in schema public to reader;
         grant select on all sequences in schema public to reader;
         select pgq.grant_right('reader', 'reader')",
    );
    let conninfo = provider.conninfo_as("reader");
    clinic.r.londiste.configure("provider_db", &conninfo);
    clinic.wait_for(&[]);

    clinic.r.provider.sql("revoke select on customers from reader");
    let finding = clinic.finds_and_mends("table-rights");
    assert_eq!(finding.fix.unwrap(), "on provider: grant select on \"public\".\"customers\" to \"reader\";");
    assert_eq!(finding.object, "provider public.customers");

    clinic.r.provider.sql("revoke select on sequence invoice_number from reader");
    let finding = clinic.finds_and_mends("sequence-values");
    assert_eq!(
        finding.fix.unwrap(),
        "on provider: grant select on sequence \"public\".\"invoice_number\" to \"reader\";"
    );

    clinic.r.provider.sql("select pgq.revoke_right('reader', 'reader')");
    // The events that were given up are not for everybody either.
    let found = clinic.wait_for(&["queue-rights", "failed-events"]);
    let rights = found.iter().find(|finding| finding.check == "queue-rights").unwrap();
    assert_eq!(rights.fix.as_deref(), Some("on provider: select pgq.grant_right('reader', 'reader');"));
    assert!(found.iter().any(|finding| finding.check == "failed-events" && finding.level == "unknown"), "{found:?}");
    clinic.mend(rights);
    clinic.wait_for(&[]);
}

#[test]
fn subscriber_that_may_not_write_or_see_all_rows_is_named() {
    let mut clinic = Clinic::open();
    clinic.r.subscriber.sql("create role applier login; grant postgres to applier");
    let conninfo = clinic.r.subscriber.conninfo_as("applier");
    clinic.r.londiste.configure("subscriber_db", &conninfo);
    clinic.wait_for(&[]);

    clinic.r.subscriber.sql("alter table plain enable row level security; alter table plain force row level security");
    let finding = clinic.finds_and_mends("row-security");
    assert_eq!(finding.fix.unwrap(), "on subscriber: alter role \"applier\" bypassrls;");

    clinic.r.londiste.configure("apply_role", "replica");
    let found = clinic.wait_for(&["replication-role"]);
    clinic.mend(&found[0]);
    clinic.wait_for(&[]);
    clinic.r.londiste.unset("apply_role");

    clinic.r.subscriber.sql(
        "revoke postgres from applier; grant pg_read_all_stats to applier; alter role applier nosuperuser;
         grant select, insert, update, delete, truncate on all tables in schema public, londiste to applier;
         grant all on all sequences in schema public to applier;
         create role owner; grant create on schema public to owner; alter table plain owner to owner;
         grant postgres to applier",
    );
    clinic.wait_for(&["table-owner"]);
    clinic.finds_and_mends("table-owner");
}

/// What cannot be looked at is unknown, with what gives the right; what is advised gives all rights, in as many turns as need be.
#[test]
fn role_without_any_right_is_led_to_all_that_it_needs() {
    let mut clinic = Clinic::open();
    let conninfos = [&clinic.r.provider, &clinic.r.subscriber].map(|database| {
        database.sql("create role stranger login");
        database.conninfo_as("stranger")
    });
    clinic.r.londiste.configure("provider_db", &conninfos[0]);
    clinic.r.londiste.configure("subscriber_db", &conninfos[1]);
    for turn in 0..3 {
        let found = bad(&examine(&clinic.r.londiste));
        let mut errors: Vec<_> =
            found.iter().filter(|finding| finding.level == "error").map(|f| f.check.as_str()).collect();
        errors.dedup();
        let expected: &[&str] = match turn {
            0 => &["queue-rights", "schema-rights"],
            1 => &["table-rights", "sequence-values"],
            _ => &[],
        };
        assert_eq!(errors, expected, "turn {turn}: {found:#?}");
        let mut fixes = Vec::new();
        for finding in &found {
            let fix = finding.fix.as_deref().unwrap_or_else(|| panic!("no fix: {finding:#?}"));
            assert!(finding.fact.matches("cannot be read").count() < 2, "{finding:#?}");
            if fix.starts_with("on ") && !fixes.contains(&fix) {
                fixes.push(fix);
                clinic.mend(finding);
            }
        }
    }
    clinic.wait_for(&[]);
}
