//! Rules of tables on both sides.

use super::log_lines::log;
use crate::support::Replication;

/// A table with a rule beside each change, and one with a rule in place of it.
const SCHEMA: &str = r#"
    create table notes (id serial primary key, what text);
    create table "Goods" (id int primary key, v text);
    create rule "Kept" as on delete to "Goods" do also insert into notes (what) values (old.v);
    create rule off as on update to "Goods" do also insert into notes (what) values (new.v);
    alter table "Goods" disable rule off;
    create table texts (id int primary key, v text);
    create rule never as on delete to texts do instead nothing;
"#;

const WARNING: &str = "WARNING Table public.Goods has rule \"Kept\" on both sides: what the rule does on the provider is replicated, and \
                       replay makes the subscriber's rule do it once more\n\
                       HINT: On the subscriber: alter table \"public\".\"Goods\" disable rule \"Kept\"";

#[test]
fn rule_that_would_do_its_work_on_both_sides_is_reported_with_what_stops_it() {
    let r = Replication::new().with_schema(SCHEMA);
    r.install();
    r.londiste.run("provider add --all");
    let added = r.londiste.run("subscriber add --all");
    let warnings = added.stderr.split_inclusive('\n').filter(|line| line.contains("WARNING") || line.contains("HINT"));
    let warnings: String = warnings.collect();
    assert_eq!(crate::support::mask_log_lines(&warnings), log(&[WARNING]));
    let (_, statement) = WARNING.split_once("On the subscriber: ").unwrap();
    r.subscriber.sql(statement);
    r.start();
    r.wait_until_ok();
    r.provider.sql("insert into \"Goods\" values (1, 'a'), (2, 'b'); delete from \"Goods\"");
    r.assert_in_sync();
    assert_eq!(r.subscriber.value("select count(*) from notes"), "2");
}

#[test]
fn rule_is_not_reported_where_it_does_not_run_twice() {
    let mut r = Replication::new().with_schema(SCHEMA);
    r.install();
    r.londiste.run("provider add --all");
    r.londiste.configure("apply_role", "replica");
    let added = r.londiste.run("subscriber add --all");
    assert!(!added.stderr.contains("WARNING"), "{}", added.stderr);
    r.londiste.run("subscriber remove --all");
    r.londiste.configure("apply_role", "origin");
    r.provider.sql("drop rule \"Kept\" on \"Goods\"");
    let added = r.londiste.run("subscriber add --all");
    assert!(!added.stderr.contains("WARNING"), "{}", added.stderr);
}
