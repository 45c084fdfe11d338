//! Rights that are granted to a role in one database: what each includes, that it stays, and that it goes when it is revoked.

use super::{OWNER, empty_database_in, installed_in, session_as, tick, try_install, with_queue_in};
use crate::support::{Cluster, Database, Session};

const READER: &[&str] = &[
    "register_consumer('q', 'mine')",
    "unregister_consumer('q', 'mine')",
    "force_tick('q')",
    "next_batch('q', 'c')",
    "failed_event_count('q', 'c')",
];
const WRITER: &[&str] = &["insert_event('q', 'type', 'data')", "current_event_table('q')"];
const ADMIN: &[&str] = &[
    "ticker('q')",
    "create_queue('other')",
    "drop_queue('other')",
    "set_queue_config('q', 'rotation_period', '1 hour')",
    "maint_rotate_tables_step1('q')",
    "maint_rotate_tables_step2()",
    "maint_retry_events()",
    "insert_event_raw('q', null, null, null, null, 'type', 'raw', null, null, null, null)",
];

/// A cluster without the roles of PgQ 3, since the owner of the queues may not create roles.
fn without_roles() -> (Cluster, Database, Session) {
    let cluster = Cluster::builder().name("rights").start();
    cluster.sql(&format!("create role {OWNER}; create role app; create role other; create role \"Odd, \"\"role\"\"\""));
    let database = cluster.database();
    database
        .sql(&format!("alter database {} owner to {OWNER}; grant create on schema public to {OWNER}", database.name()));
    let session = session_as(&database, OWNER);
    try_install(&session).unwrap();
    session.sql("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    (cluster, database, session)
}

/// Which of the rights the calls of a session show. A right that is only there in part fails the test.
#[track_caller]
fn rights(session: &Session) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (right, calls) in [("reader", READER), ("writer", WRITER), ("admin", ADMIN)] {
        let allowed: Vec<bool> = calls
            .iter()
            .map(|call| match session.try_rows(&format!("select pgq.{call}")) {
                Ok(_) => true,
                Err(error) if error.code == "42501" => false,
                Err(error) => panic!("{call}: {error}"),
            })
            .collect();
        assert!(allowed.windows(2).all(|pair| pair[0] == pair[1]), "{right} in part: {calls:?} {allowed:?}");
        if allowed[0] {
            found.push(right);
        }
    }
    let reads = session.try_rows("select count(*) from pgq.event_1; select count(*) from pgq.retry_queue").is_ok();
    assert_eq!(reads, found.contains(&"reader"), "reads events, with {found:?}");
    found
}

fn grant(session: &Session, role: &str, right: &str) -> String {
    session.value(&format!("select pgq.grant_right('{role}', '{right}')"))
}

fn revoke(session: &Session, role: &str, right: &str) -> String {
    session.value(&format!("select pgq.revoke_right('{role}', '{right}')"))
}

#[test]
fn each_right_includes_what_it_is_for_and_no_more() {
    let (_cluster, database, owner) = without_roles();
    let app = session_as(&database, "app");
    for (right, expected) in
        [("reader", &["reader"][..]), ("writer", &["writer"]), ("admin", &["reader", "writer", "admin"])]
    {
        assert_eq!(rights(&app), [""; 0], "before {right}");
        assert_eq!(grant(&owner, "app", right), "1");
        assert_eq!(grant(&owner, "app", right), "0");
        assert_eq!(rights(&app), expected);
        assert_eq!(rights(&session_as(&database, "other")), [""; 0]);
        // What comes later is included; what an upgrade brings, too.
        owner.sql("select pgq.create_queue('later')");
        let table = owner.value("select pgq.current_event_table('later')");
        assert_eq!(app.try_rows(&format!("select * from pgq.event_template, {table}")).is_ok(), right != "writer");
        owner.sql("select pgq.drop_queue('later')");
        owner.sql("drop function pgq.next_batch(text, text), pgq.insert_event(text, text, text), pgq.ticker(text)");
        try_install(&owner).unwrap();
        assert_eq!(rights(&app), expected, "after an upgrade");
        assert_eq!(revoke(&owner, "app", right), "1");
        assert_eq!(revoke(&owner, "app", right), "0");
        assert_eq!(rights(&app), [""; 0], "after {right}");
        try_install(&owner).unwrap();
        assert_eq!(rights(&app), [""; 0], "after {right} and an upgrade");
    }
}

#[test]
fn rights_of_a_role_stand_beside_each_other() {
    let (_cluster, database, owner) = without_roles();
    let app = session_as(&database, "app");
    grant(&owner, "app", "reader");
    grant(&owner, "app", "admin");
    grant(&owner, "app", "writer");
    revoke(&owner, "app", "writer");
    assert_eq!(rights(&app), ["reader", "writer", "admin"], "admin includes writer");
    revoke(&owner, "app", "admin");
    assert_eq!(rights(&app), ["reader"]);
    grant(&owner, "app", "writer");
    assert_eq!(rights(&app), ["reader", "writer"]);
    revoke(&owner, "app", "reader");
    assert_eq!(rights(&app), ["writer"]);
    revoke(&owner, "app", "admin");
    assert_eq!(rights(&app), ["writer"], "it was not granted admin");
    // Nothing of it is left that keeps the role from being dropped.
    revoke(&owner, "app", "writer");
    database.sql("drop role app");
}

#[test]
fn every_role_may_get_a_right_and_lose_it() {
    let (_cluster, database, owner) = without_roles();
    let app = session_as(&database, "app");
    for right in ["writer", "reader"] {
        grant(&owner, "public", right);
        assert_eq!(rights(&app), [right]);
        try_install(&owner).unwrap();
        assert_eq!(rights(&app), [right]);
        revoke(&owner, "public", right);
        assert_eq!(rights(&app), [""; 0]);
        try_install(&owner).unwrap();
        assert_eq!(rights(&app), [""; 0]);
    }
    app.sql("select * from pgq.tick, pgq.queue; select last_value from pgq.event_1_tick_seq");
    let error = owner.error("select pgq.grant_right('public', 'admin')");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("22023", "the right \"admin\" is not for every role"));
}

#[test]
fn names_are_quoted_and_wrong_ones_are_refused() {
    let (_cluster, database, owner) = without_roles();
    let odd = "Odd, \"role\"";
    assert_eq!(grant(&owner, odd, "reader"), "1");
    let session = database.session();
    session.sql("set role \"Odd, \"\"role\"\"\"");
    assert_eq!(rights(&session), ["reader"]);
    try_install(&owner).unwrap();
    assert_eq!(revoke(&owner, odd, "reader"), "1");
    assert_eq!(rights(&session), [""; 0]);
    for (sql, code, message) in [
        ("grant_right('nobody', 'reader')", "42704", "role \"nobody\" does not exist"),
        ("revoke_right('nobody', 'reader')", "42704", "role \"nobody\" does not exist"),
        ("grant_right('App', 'reader')", "42704", "role \"App\" does not exist"),
        ("grant_right('app', 'owner')", "22023", "there is no right \"owner\""),
        ("grant_right('app', null)", "22023", "there is no right \"\""),
    ] {
        let error = owner.error(&format!("select pgq.{sql}"));
        assert_eq!((error.code.as_str(), error.message.as_str()), (code, message), "{sql}");
        assert!(!error.hint.is_empty(), "{sql}");
    }
    // Only the owner gives and takes.
    grant(&owner, "app", "admin");
    let app = session_as(&database, "app");
    let error = app.error("select pgq.grant_right('other', 'reader')");
    assert_eq!((error.code.as_str(), error.hint.as_str()), ("42501", "Do it as the owner of the schema, queue_owner."));
    assert_eq!(app.error("select pgq.revoke_right('app', 'admin')").code, "42501");
}

/// Beside the roles of PgQ 3, which keep what they had.
#[test]
fn roles_of_pgq_and_granted_rights_do_not_touch_each_other() {
    let cluster = Cluster::builder().name("rights").start();
    cluster.sql("create role app; create role member; create role pgq_reader; grant pgq_reader to member");
    let (database, owner) = with_queue_in(&cluster);
    grant(&owner, "app", "reader");
    let (app, member) = (session_as(&database, "app"), session_as(&database, "member"));
    revoke(&owner, "app", "reader");
    assert_eq!((rights(&app), rights(&member)), (vec![], vec!["reader"]));
    // Membership reaches every database of the cluster, a granted right only this one.
    grant(&owner, "app", "writer");
    let (other, other_owner) = installed_in(&cluster);
    other_owner.sql("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    assert_eq!(rights(&session_as(&other, "app")), [""; 0]);
    assert_eq!(rights(&session_as(&other, "member")), ["reader"]);
}

/// A schema that an rlondiste without these rights has opened to every role.
#[test]
fn schema_that_was_open_stays_open_until_it_is_closed() {
    let cluster = Cluster::builder().name("rights").start();
    cluster.sql("create role app");
    let database = empty_database_in(&cluster);
    let owner = session_as(&database, OWNER);
    try_install(&owner).unwrap();
    owner.sql(
        "select pgq.create_queue('q'), pgq.register_consumer('q', 'c');
         drop function pgq._may_read(), pgq._may_write(), pgq._may_administer();
         grant execute on all functions in schema pgq to public;
         grant select on pgq.event_template, pgq.event_1, pgq.event_1_0, pgq.retry_queue to public",
    );
    try_install(&owner).unwrap();
    let app = session_as(&database, "app");
    assert_eq!(rights(&app), ["reader", "writer"]);
    try_install(&owner).unwrap();
    assert_eq!(rights(&app), ["reader", "writer"]);
    revoke(&owner, "public", "reader");
    assert_eq!(rights(&app), ["writer"]);
    try_install(&owner).unwrap();
    assert_eq!(rights(&app), ["writer"]);
    revoke(&owner, "public", "writer");
    try_install(&owner).unwrap();
    assert_eq!(rights(&app), [""; 0]);
    tick(&owner);
}
