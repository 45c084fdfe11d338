//! `grant` and `revoke`: what they say and change, and what is said of a schema that is open to every role.

use super::Setup;
use crate::support::{Cluster, Database};

/// A cluster of its own with the role `app`: roles are the cluster's, and messages name them.
fn with_role() -> (Cluster, Setup) {
    let cluster = Cluster::builder().name("rights").start();
    cluster.sql("create role app login");
    let setup = Setup::on(&cluster);
    (cluster, setup)
}

fn may(database: &Database, call: &str) -> bool {
    match database.try_rows(&format!("set role app; select pgq.{call}")) {
        Ok(_) => true,
        Err(error) if error.code == "42501" => false,
        Err(error) => panic!("{call}: {error}"),
    }
}

#[test]
fn rights_are_granted_and_revoked() {
    let (_cluster, setup) = with_role();
    setup.job.run("install");
    setup.create_queues(&["q"]);
    for (right, call) in
        [("reader", "register_consumer('q', 'c')"), ("writer", "insert_event('q', 't', 'd')"), ("admin", "ticker('q')")]
    {
        let granting = format!("DATE PID INFO Granting {right} to role app");
        let revoking = format!("DATE PID INFO Revoking {right} from role app");
        assert!(!may(&setup.database, call), "{right}");
        setup.says(&format!("grant app {right}"), &[&granting]);
        assert!(may(&setup.database, call), "{right}");
        setup.says(&format!("grant app {right}"), &[&granting, "DATE PID INFO Role app had it already"]);
        setup.says(&format!("revoke app {right}"), &[&revoking]);
        assert!(!may(&setup.database, call), "{right}");
        setup.says(&format!("revoke app {right}"), &[&revoking, "DATE PID INFO Role app was not granted it"]);
    }
}

#[test]
fn wrong_roles_and_rights_are_refused() {
    let (_cluster, setup) = with_role();
    setup.job.run("install");
    let place = setup.place();
    let crash = |what: &str| format!("DATE PID CRITICAL Job db1-ticker crashed: {what}");
    for (command, info, action) in [
        ("grant nobody reader", "Granting reader to role nobody", "grant the right"),
        ("revoke nobody reader", "Revoking reader from role nobody", "revoke the right"),
    ] {
        let what = crash(&format!(
            "could not {action} on provider ({place}), right \"reader\" of role \"nobody\": role \"nobody\" does not exist (42704)"
        ));
        let hint = "HINT: Create it first (\"create role\"), or write public for every role.";
        setup.fails(command, &[&format!("DATE PID INFO {info}"), &what, "CONTEXT: ...", hint]);
    }
    let what = crash(&format!(
        "could not grant the right on provider ({place}), right \"admin\" of role \"public\": the right \"admin\" is not for \
         every role (22023)"
    ));
    let hint = "HINT: Grant it to the roles that need it.";
    setup.fails("grant public admin", &["DATE PID INFO Granting admin to role public", &what, "CONTEXT: ...", hint]);
    for (command, error) in [
        ("grant", "grant needs a role: grant ROLE reader|writer|admin"),
        ("grant app", "grant needs a right: grant ROLE reader|writer|admin"),
        ("grant app owner", "there is no right \"owner\": grant ROLE reader|writer|admin"),
        ("revoke app Reader", "there is no right \"Reader\": revoke ROLE reader|writer|admin"),
        ("revoke app reader writer", "revoke has no use for \"writer\": revoke ROLE reader|writer|admin"),
    ] {
        let program = setup.job.program(command.split(' ')).called("pgqadm.py").stdout("").status(2);
        program
            .stderr(format!("Usage: pgqadm.py [options] INI CMD [subcmd args]\n\npgqadm.py: error: {error}\n"))
            .run();
    }
}

#[test]
fn only_the_owner_of_the_schema_grants() {
    let (_cluster, setup) = with_role();
    setup.job.run("install");
    setup.job.run("grant app admin");
    let app = crate::support::Job::ticker(setup.scratch.path(), "app", &setup.database.conninfo_as("app"));
    let place = setup.place().replace("user=postgres", "user=app");
    let stderr = format!(
        "DATE PID INFO Granting reader to role app\n\
         DATE PID CRITICAL Job app crashed: could not grant the right on provider ({place}), right \"reader\" of role \"app\": \
         app may not grant or revoke rights in schema pgq (42501)\nCONTEXT: ...\n\
         HINT: Do it as the owner of the schema, postgres.\n"
    );
    app.program(["grant", "app", "reader"]).stdout("").stderr(stderr).status(1).run();
}

#[test]
fn rights_need_a_schema_that_has_them() {
    let (_cluster, setup) = with_role();
    let place = setup.place();
    let granting = "DATE PID INFO Granting reader to role app";
    let critical = format!(
        "DATE PID CRITICAL Job db1-ticker crashed: could not grant the right on provider ({place}), right \"reader\" of role \
         \"app\": schema \"pgq\" does not exist (3F000)"
    );
    let hint = "HINT: Run \"rlondiste TICKER-INI install\" or \"rlondiste INI provider install\" first.";
    setup.fails("grant app reader", &[granting, &critical, hint]);

    setup.database.sql(include_str!("../sql/pgq_2.sql"));
    let critical = format!(
        "DATE PID CRITICAL Job db1-ticker crashed: cannot grant the right on provider ({place}): there is PgQ 2.1.8"
    );
    let hint = "HINT: PgQ 2 lets every role do all of it. \"rlondiste ticker INI install\" replaces PgQ 2.1 by a schema that \
                knows rights.";
    setup.fails("grant app reader", &[granting, &critical, hint]);
}

#[test]
fn upgraded_schema_keeps_the_rights_of_every_role_and_says_so() {
    const WARNINGS: [&str; 2] = [
        "DATE PID WARNING Every role may put events into the queues of this database, as in PgQ 2. To change that, run \
         \"rlondiste ticker INI grant ROLE writer\" for each role that needs it, then \"rlondiste ticker INI revoke public \
         writer\"",
        "DATE PID WARNING Every role may consume from the queues of this database and unregister consumers, as in PgQ 2. To \
         change that, run \"rlondiste ticker INI grant ROLE reader\" for each role that needs it, then \"rlondiste ticker INI \
         revoke public reader\"",
    ];
    let (_cluster, setup) = with_role();
    setup.database.sql(include_str!("../sql/pgq_2.sql"));
    setup.database.sql("insert into pgq.tick (tick_queue, tick_id) values (1, nextval('pgq.event_1_tick_seq'))");
    let there = ["DATE PID INFO plpgsql is installed", "DATE PID INFO txid_current_snapshot is installed"];
    let reading = format!("DATE PID INFO   Reading from rlondiste {}", env!("CARGO_PKG_VERSION"));
    let upgrading = ["DATE PID INFO Upgrading pgq from PgQ 2.1.8", &reading];
    setup.says("install", &[&there[..], &upgrading, &WARNINGS].concat());
    let installed = ["DATE PID INFO pgq is installed"];
    setup.says("install", &[&there[..], &installed, &WARNINGS].concat());
    assert!(
        may(&setup.database, "insert_event('old', 't', 'd')") && may(&setup.database, "register_consumer('old', 'c')")
    );

    setup.job.run("revoke public writer");
    setup.says("install", &[&there[..], &installed, &WARNINGS[1..]].concat());
    setup.database.sql("revoke execute on function pgq.next_batch(text, text) from public");
    let events = "DATE PID WARNING Every role may read the events in the queues of this database, as in PgQ 2. To change that, \
                  run \"rlondiste ticker INI grant ROLE reader\" for each role that needs it, then \"rlondiste ticker INI revoke \
                  public reader\"";
    setup.says("install", &[&there[..], &installed, &[events]].concat());
    setup.job.run("revoke public reader");
    setup.says("install", &[&there[..], &installed].concat());
    assert!(setup.database.error("set role app; select * from pgq.event_1").code == "42501");
}
