//! Policies that hide rows from our user: an error that says what to do, never a part of the rows.

use super::log_lines::{checked, log};
use crate::support::{Cluster, Database, Replication, wait_until};

const HINT: &str = "HINT: Let the user of the connection string see all rows: give it BYPASSRLS (\"alter role ... bypassrls\"), \
                    or connect as the table's owner; a table with \"force row level security\" hides rows from its owner too.";

/// A user of one database who may do everything there, except to see rows that a policy hides.
pub(super) fn create_user(cluster: &Cluster, database: &Database) -> String {
    let user = format!("user_of_{}", database.name());
    cluster.sql(&format!("create role {user} login"));
    for schema in database.column("select nspname from pg_namespace where nspname in ('pgq', 'londiste', 'public')") {
        database.sql(&format!(
            "grant all on schema {schema} to {user}; grant all on all tables in schema {schema} to {user};
             grant all on all sequences in schema {schema} to {user};
             grant all on all functions in schema {schema} to {user}"
        ));
    }
    user
}

/// Where a database is for this user, as messages say it.
fn place(database: &Database, user: &str) -> String {
    database.place().replace("user=postgres", &format!("user={user}"))
}

fn refused(action: &str, side: &str, place: &str, about: &str) -> String {
    format!(
        "could not {action} on {side} ({place}), table {about}: query would be affected by row-level security policy for \
         table \"t\" (42501)\n{HINT}"
    )
}

#[test]
fn rows_that_the_provider_hides_are_neither_copied_nor_compared_in_part() {
    let mut r = Replication::new()
        .with_schema("create table t (id int primary key, v text); create table other (id int primary key)");
    r.provider.sql(
        "insert into t select i, 'v' from generate_series(1, 10) i; insert into other values (1);
         alter table t enable row level security; create policy few on t using (id < 4)",
    );
    r.subscriber.sql("insert into t values (77, 'old')");
    r.install();
    let user = create_user(Cluster::provider(), &r.provider);
    r.londiste.run("provider add --all");
    r.londiste.configure("provider_db", &r.provider.conninfo_as(&user));
    r.start();
    r.londiste.run("subscriber add --all");
    let place = place(&r.provider, &user);
    let failed = format!("next try in 1 s: {}\n", refused("copy rows", "provider", &place, "public.t"));
    r.londiste.wait_for_log(&format!("CRITICAL copy of public.t failed, {failed}"));
    let ok = "select table_name from londiste.subscriber_table where merge_state = 'ok'";
    wait_until("the other table is copied", || match r.subscriber.column(ok) {
        tables if tables == ["public.other"] => Ok(()),
        tables => Err(format!("{tables:?}")),
    });
    assert_eq!(r.subscriber.column("select id from t"), ["77"]);
    // Its owner sees all rows, and the next try takes them.
    r.provider.sql(&format!("alter table t owner to {user}"));
    r.wait_until_ok();
    r.assert_in_sync();

    r.provider.sql("alter table t force row level security");
    r.replay_until_in_sync();
    for (command, doing, action, about) in [
        ("compare t", "Counting", "compare a table", "public.t, compare_sql"),
        ("compare --checksum t", "Checking", "read a table", "public.t"),
        ("repair t", "Checking", "read a table", "public.t"),
    ] {
        let error = refused(action, "provider", &place, about);
        let lines = [
            "INFO Locking public.t",
            "INFO Syncing public.t",
            &format!("INFO {doing} public.t"),
            &format!("ERROR {error}"),
        ];
        r.londiste.program(command.split(' ')).stdout("").stderr(log(&lines)).status(1).run();
    }
    assert!(!r.scratch().path().join("fix.public.t.sql").exists());
    r.provider.sql("alter table t no force row level security");
    r.londiste.program(["compare", "t"]).stdout("").stderr(log(&checked("public.t", 10, 10))).run();
}

#[test]
fn a_table_whose_rows_the_subscriber_hides_is_parked_until_they_are_seen() {
    let mut r = Replication::new()
        .with_schema("create table t (id int primary key, v text); create table other (id int primary key)");
    r.provider.sql("insert into t values (1, 'a'), (2, 'b')");
    r.install();
    let user = create_user(Cluster::subscriber(), &r.subscriber);
    r.subscriber.sql(&format!("alter table t owner to {user}; alter table other owner to {user}"));
    r.londiste.configure("subscriber_db", &r.subscriber.conninfo_as(&user));
    r.start();
    r.add("--all");
    r.wait_until_ok();
    r.replay_until_in_sync();
    r.subscriber.sql(
        "alter table t enable row level security; alter table t force row level security;
         create policy few on t using (id < 2)",
    );
    r.provider.sql("begin; update t set v = 'c'; delete from t where id = 2; insert into other values (1); commit");
    let event = r.provider.value("select min(ev_id) from pgq.event_1 where ev_extra1 = 'public.t'");
    r.londiste.wait_for_log(&format!(
        "CRITICAL Table public.t is parked, the other tables go on: cannot apply event {event} (U) to table \"public.t\" on \
         subscriber ({}): row security may hide rows of the table from this user\n{HINT}\n",
        place(&r.subscriber, &user)
    ));
    r.replay_until_in_sync();
    assert_eq!(r.subscriber.column("select id from other"), ["1"]);
    assert_eq!(r.subscriber.rows("select * from t order by id"), [["1", "a"], ["2", "b"]]);
    // A right of the user is seen as well as a change of the table.
    Cluster::subscriber().sql(&format!("alter role {user} bypassrls"));
    r.wait_until_ok();
    r.assert_in_sync();

    Cluster::subscriber().sql(&format!("alter role {user} nobypassrls"));
    r.londiste.run("subscriber resync t");
    let failed = refused("copy rows", "subscriber", &place(&r.subscriber, &user), "public.t");
    r.londiste.wait_for_log(&format!("CRITICAL copy of public.t failed, next try in 1 s: {failed}\n"));
    assert_eq!(r.subscriber.rows("select * from t order by id"), [["1", "c"]]);
    r.subscriber.sql("alter table t no force row level security");
    r.wait_until_ok();
    r.assert_in_sync();
}
