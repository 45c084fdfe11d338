//! Install, create, drop, register, unregister, config: what they say and what they change.

use pretty_assertions::assert_eq;

use super::Setup;
use crate::support::{Cluster, Database};

const INSTALLED: &[&str] = &[
    "DATE PID INFO plpgsql is installed",
    "DATE PID INFO txid_current_snapshot is installed",
    "DATE PID INFO pgq is installed",
];

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

#[test]
fn install_says_what_is_there_and_what_it_installs() {
    let setup = Setup::empty();
    let reading = format!("DATE PID INFO   Reading from rlondiste {}", version());
    setup.says("install", &[INSTALLED[0], INSTALLED[1], "DATE PID INFO Installing pgq", &reading]);
    setup.says("install", INSTALLED);
    setup.says("install -q", &[]);
    assert_eq!(setup.database.value("select pgq.version()"), "3.5");
}

#[test]
fn install_fills_a_schema_that_was_prepared_for_it() {
    let setup = Setup::empty();
    setup.database.sql("create schema pgq");
    setup.job.run("install");
    assert_eq!(setup.database.value("select pgq.create_queue('q')"), "1");
}

#[test]
fn install_brings_back_plpgsql() {
    let setup = Setup::empty();
    setup.database.sql("drop extension plpgsql");
    let log = setup.job.run("install").stderr;
    assert!(log.contains(" INFO Installing plpgsql\n"), "{log}");
    assert_eq!(setup.database.value("select pgq.create_queue('q')"), "1");
}

/// Names and sources of the functions of schema pgq.
fn functions(database: &Database) -> Vec<Vec<String>> {
    database.rows(
        "select oid::regprocedure::text, md5(prosrc) from pg_proc where pronamespace = 'pgq'::regnamespace order by 1",
    )
}

#[test]
fn install_upgrades_an_older_schema_and_keeps_its_queues() {
    let setup = Setup::with_queues(&["q"]);
    let before = functions(&setup.database);
    setup.database.sql(
        "create or replace function pgq.rlondiste_version() returns text language sql as $$ select '0.0.9'::text $$;
         drop function pgq.maint_retry_events();
         select pgq.insert_event('q', 'kind', 'data')",
    );
    let log = setup.job.run("install").stderr;
    assert!(log.contains(" INFO Upgrading pgq from rlondiste 0.0.9\n"), "{log}");
    assert_eq!(functions(&setup.database), before);
    assert_eq!(setup.database.value("select count(*) from pgq.event_1"), "1");
    setup.says("install", INSTALLED);
}

/// The comment tells which files have made the schema; without one, or with another, the functions may be others.
#[test]
fn install_brings_changed_files_without_a_new_version() {
    let setup = Setup::with_queues(&["q"]);
    let before = functions(&setup.database);
    let upgrading = "DATE PID INFO Upgrading pgq: its files have changed";
    let reading = format!("DATE PID INFO   Reading from rlondiste {}", version());
    for comment in ["'files of another program'", "null"] {
        setup.database.sql(&format!(
            "create or replace function pgq.version() returns text language sql as $$ select 'changed'::text $$;
             comment on function pgq.rlondiste_version() is {comment}"
        ));
        setup.says("install", &[INSTALLED[0], INSTALLED[1], upgrading, &reading]);
        assert_eq!(functions(&setup.database), before);
        setup.says("install", INSTALLED);
    }
    assert_eq!(setup.database.value("select count(*) from pgq.queue"), "1");
}

#[test]
fn install_refuses_a_newer_schema() {
    let setup = Setup::installed();
    setup.database.sql(
        "create or replace function pgq.rlondiste_version() returns text language sql as $$ select '99.1'::text $$",
    );
    let before = functions(&setup.database);
    let place = setup.place();
    let crash = format!(
        "DATE PID CRITICAL Job db1-ticker crashed: cannot install pgq on provider ({place}): the schema there was made by \
         rlondiste 99.1, which is newer than this program ({})",
        version()
    );
    let hint = "HINT: Nothing was changed. Use that version of rlondiste or a newer one.";
    setup.fails("install", &[INSTALLED[0], INSTALLED[1], &crash, hint]);
    assert_eq!(functions(&setup.database), before);
}

#[test]
fn install_refuses_a_schema_that_is_no_pgq() {
    let setup = Setup::empty();
    setup.database.sql("create schema pgq; create table pgq.mine (id int)");
    let place = setup.place();
    let crash = format!(
        "DATE PID CRITICAL Job db1-ticker crashed: cannot install pgq on provider ({place}): schema pgq is there, but it is \
         a schema without pgq.queue and pgq.version(), which rlondiste does not know"
    );
    let hint = "HINT: Nothing was changed. Rename or drop that schema if nothing needs it.";
    setup.fails("install", &[INSTALLED[0], INSTALLED[1], &crash, hint]);
    assert_eq!(functions(&setup.database), Vec::<Vec<String>>::new());
}

#[test]
fn queues_and_consumers_are_made_once_and_go_in_order() {
    let setup = Setup::installed();
    let consumers =
        || setup.database.rows("select queue_name, consumer_name from pgq.get_consumer_info() order by 1, 2");
    for _ in 0..2 {
        setup.says("create q1", &["DATE PID INFO Creating queue: q1"]);
        setup.says("register q1 c1", &["DATE PID INFO Registering consumer c1 on queue q1"]);
    }
    assert_eq!(consumers(), [["q1", "c1"]]);

    setup.says("unregister q1 c1", &["DATE PID INFO Unregistering consumer c1 from queue q1"]);
    assert_eq!(consumers(), Vec::<Vec<String>>::new());
    setup.says("drop q1", &["DATE PID INFO Dropping queue: q1"]);
    setup.says("create q2", &["DATE PID INFO Creating queue: q2"]);
    setup.says("register q2 c2", &["DATE PID INFO Registering consumer c2 on queue q2"]);
    setup.says("drop q2 --force", &["DATE PID INFO Dropping queue: q2"]);
    assert_eq!(setup.database.value("select count(*) from pgq.queue"), "0");
}

#[test]
fn settings_are_shown_to_the_byte() {
    let setup = Setup::installed();
    setup.job.program(["config"]).stdout("").stderr("").run();
    for queue in ["q2", "q1"] {
        setup.database.sql(&format!("select pgq.create_queue('{queue}')"));
    }
    let shown = |queue: &str, max_lag: &str, max_count: &str| {
        format!(
            "{queue}\n    ticker_max_lag\t={max_lag:>7}\n    ticker_idle_period\t=     60\n    \
             rotation_period\t=   7200\n    ticker_max_count\t={max_count:>7}\n"
        )
    };
    let both = shown("q1", "3", "500") + &shown("q2", "3", "500");
    setup.job.program(["config"]).stdout(both).stderr("").run();

    setup.says(
        "config q1 ticker_max_count=300 queue_ticker_max_lag=0.5",
        &["DATE PID INFO Change queue q1 config to: queue_ticker_max_count='300', queue_ticker_max_lag='0.5'"],
    );
    setup.job.program(["config", "q1"]).stdout(shown("q1", "0.5", "300")).stderr("").run();
    // Scripts of SkyTools read this line on standard output.
    let refused = format!(
        "DATE PID ERROR no such queue: nope (on provider, {})\nHINT: \"rlondiste ticker INI status\" lists the queues; \"create\" makes one.\n",
        setup.place()
    );
    let nope = setup.job.program(["config", "nope"]).stdout("no such queue: nope\n").stderr(refused.as_str());
    nope.status(1).run();
    let json = setup.job.program(["config", "nope", "--json"]).status(1).stderr(refused).run().stdout;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).unwrap(),
        serde_json::json!({"schema_version": 1, "queues": []})
    );
    setup
        .job
        .program(["config", "q1", "rotation_period=1 hour"])
        .stdout("")
        .stderr("DATE PID INFO Change queue q1 config to: queue_rotation_period='1 hour'\n")
        .run();
    let json = setup.job.run("config q1 --json").stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"schema_version": 1, "queues": [{
            "name": "q1", "ticker_max_lag": 0.5, "ticker_idle_period": 60.0, "rotation_period": 3600.0,
            "ticker_max_count": 300
        }]})
    );
}

/// A refused command: what it says it does, why it cannot, and the lines after that. Nothing goes to standard output, and
/// nothing is changed.
#[track_caller]
fn assert_refused(setup: &Setup, commands: &[(&str, &str, String, &[&str])]) {
    let state = || {
        let queues = setup.database.rows("select q::text from pgq.queue q order by queue_name");
        (queues, setup.database.rows("select * from pgq.get_consumer_info()").len())
    };
    let before = state();
    for (command, info, error, more) in commands {
        let info = format!("DATE PID INFO {info}");
        let critical = format!("DATE PID CRITICAL Job db1-ticker crashed: {error}");
        let first = if info.ends_with(' ') { vec![] } else { vec![info.as_str()] };
        setup.fails(command, &[&first[..], &[&critical], more].concat());
    }
    assert_eq!(state(), before);
}

#[test]
fn refused_commands_say_why_and_change_nothing() {
    let setup = Setup::installed();
    setup.database.sql(
        "select pgq.create_queue(q) from unnest(array['q1', 'unticked']) q; select pgq.register_consumer('q1', 'c1');
         delete from pgq.tick where tick_queue = (select queue_id from pgq.queue where queue_name = 'unticked')",
    );
    let place = setup.place();
    let on = |action: &str, what: &str| format!("could not {action} on provider ({place}), {what}");
    assert_refused(
        &setup,
        &[
            (
                "drop q1",
                "Dropping queue: q1",
                on("drop the queue", "queue \"q1\": cannot drop queue, consumers still attached (55006)"),
                &[
                    "DETAIL: Queue: q1, consumer: c1",
                    "CONTEXT: ...",
                    "HINT: Unregister its consumers first, or drop it with force.",
                ],
            ),
            (
                "drop nope",
                "Dropping queue: nope",
                on("drop the queue", "queue \"nope\": No such event queue (42704)"),
                &["DETAIL: Queue: nope", "CONTEXT: ..."],
            ),
            (
                "register nope c1",
                "Registering consumer c1 on queue nope",
                on("register the consumer", "consumer \"c1\" of queue \"nope\": Event queue not created yet (42704)"),
                &["DETAIL: Queue: nope", "CONTEXT: ...", "HINT: Create it with pgq.create_queue()."],
            ),
            (
                "register unticked c1",
                "Registering consumer c1 on queue unticked",
                on(
                    "register the consumer",
                    "consumer \"c1\" of queue \"unticked\": No ticks for this queue.  Please run ticker on database. (55000)",
                ),
                &["DETAIL: Queue: unticked", "CONTEXT: ..."],
            ),
            (
                "unregister q1 nobody",
                "Unregistering consumer nobody from queue q1",
                on(
                    "unregister the consumer",
                    "consumer \"nobody\" of queue \"q1\": consumer not registered on queue (42704)",
                ),
                &["DETAIL: Queue: q1, consumer: nobody", "CONTEXT: ..."],
            ),
            (
                "unregister nope c1",
                "Unregistering consumer c1 from queue nope",
                on(
                    "unregister the consumer",
                    "consumer \"c1\" of queue \"nope\": consumer not registered on queue (42704)",
                ),
                &["DETAIL: Queue: nope, consumer: c1", "CONTEXT: ..."],
            ),
        ],
    );
}

#[test]
fn refused_settings_say_why_and_change_nothing() {
    const VARIABLES: &str = "HINT: Nothing was changed. These can be set: ticker_max_count, ticker_max_lag, ticker_idle_period, \
                             rotation_period, external_ticker, ticker_paused, disable_insert, per_tx_limit.";
    const LIST: &str = "HINT: \"rlondiste ticker INI status\" lists the queues; \"create\" makes one.";
    const WRITE: &str = "HINT: Nothing was changed. Write VAR=VAL, such as ticker_max_lag=3.";
    const TIME: &str =
        "HINT: Nothing was changed. It is a time of 0 to 100 years, such as \"2 hours\"; a bare number means seconds.";
    const COUNT: &str = "HINT: Nothing was changed. It is a number of at least 1.";
    let setup = Setup::installed();
    setup.database.sql("select pgq.create_queue('q1')");
    let place = setup.place();
    assert_refused(
        &setup,
        &[
            (
                "config nope ticker_max_lag=1",
                "Change queue nope config to: queue_ticker_max_lag='1'",
                format!("no such queue: nope (on provider, {place})"),
                &[LIST],
            ),
            ("config q1 ticker_max_lag=1 bad=1", "", "unknown config var: bad".to_owned(), &[VARIABLES]),
            ("config q1 a=b=c", "", "unknown config var: a".to_owned(), &[VARIABLES]),
            ("config q1 ticker_max_lag", "", "cannot understand \"ticker_max_lag\"".to_owned(), &[WRITE]),
            (
                "config q1 rotation_period=-5",
                "Change queue q1 config to: queue_rotation_period='-5'",
                "rotation_period cannot be '-5'".to_owned(),
                &[TIME],
            ),
            (
                "config q1 ticker_max_count=5 ticker_idle_period=101years",
                "Change queue q1 config to: queue_ticker_max_count='5', queue_ticker_idle_period='101years'",
                "ticker_idle_period cannot be '101years'".to_owned(),
                &[TIME],
            ),
            (
                "config q1 ticker_max_lag=5 ticker_max_count=0",
                "Change queue q1 config to: queue_ticker_max_lag='5', queue_ticker_max_count='0'",
                "ticker_max_count cannot be '0'".to_owned(),
                &[COUNT],
            ),
            (
                "config q1 per_tx_limit=-1",
                "Change queue q1 config to: queue_per_tx_limit='-1'",
                "per_tx_limit cannot be '-1'".to_owned(),
                &[COUNT],
            ),
            (
                "config q1 ticker_max_count=5 ticker_max_lag=abc",
                "Change queue q1 config to: queue_ticker_max_count='5', queue_ticker_max_lag='abc'",
                format!(
                    "could not change the settings of the queue on provider ({place}), queue \"q1\": \
                 invalid input syntax for type interval: \"abc\" (22007)"
                ),
                &[],
            ),
        ],
    );
}

#[test]
fn names_that_make_no_sense_are_refused() {
    let setup = Setup::with_queues(&["q"]);
    let place = setup.place();
    let hint = "HINT: A name has 1 to 1000 bytes, and no line breaks or other control characters.\n";
    let long = "x".repeat(2_000);
    for (name, problem) in [("", "is empty"), (&long, "is too long: 2000 bytes")] {
        let stderr = format!(
            "DATE PID INFO Creating queue: {name}\n\
             DATE PID CRITICAL Job db1-ticker crashed: could not create the queue on provider ({place}), queue \"{name}\": queue \
             name {problem} (42602)\nCONTEXT: ...\n{hint}"
        );
        setup.job.program(["create", name]).stdout("").stderr(stderr).status(1).run();
        let stderr = format!(
            "DATE PID INFO Registering consumer {name} on queue q\n\
             DATE PID CRITICAL Job db1-ticker crashed: could not register the consumer on provider ({place}), consumer \"{name}\" \
             of queue \"q\": consumer name {problem} (42602)\nCONTEXT: ...\n{hint}"
        );
        setup.job.program(["register", "q", name]).stdout("").stderr(stderr).status(1).run();
    }
}

#[test]
fn commands_without_a_schema_say_how_to_install_it() {
    const HINT: &str = "HINT: Run \"rlondiste TICKER-INI install\" or \"rlondiste INI provider install\" first.";
    let setup = Setup::empty();
    let place = setup.place();
    let schema = "schema \"pgq\" does not exist (3F000)";
    for (command, info, action, what) in [
        ("create q", "Creating queue: q", "create the queue", "queue \"q\""),
        ("drop q", "Dropping queue: q", "drop the queue", "queue \"q\""),
        ("register q c", "Registering consumer c on queue q", "register the consumer", "consumer \"c\" of queue \"q\""),
        (
            "unregister q c",
            "Unregistering consumer c from queue q",
            "unregister the consumer",
            "consumer \"c\" of queue \"q\"",
        ),
    ] {
        let critical = format!("could not {action} on provider ({place}), {what}: {schema}");
        let critical = format!("DATE PID CRITICAL Job db1-ticker crashed: {critical}");
        setup.fails(command, &[&format!("DATE PID INFO {info}"), &critical, HINT]);
    }
    let table = "relation \"pgq.queue\" does not exist (42P01)";
    let crashed = format!(
        "DATE PID CRITICAL Job db1-ticker crashed: could not read the settings of the queues on provider ({place}): {table}"
    );
    setup.fails("config", &[&crashed, HINT]);
    setup.fails(
        "status",
        &[&format!("rlondiste: could not read the version of PgQ on provider ({place}): {schema}"), HINT],
    );
    setup.fails("events q", &[&format!("rlondiste: could not read the events on provider ({place}): {table}"), HINT]);
}

#[test]
fn owner_of_the_database_needs_no_other_right() {
    let cluster = Cluster::provider();
    let setup = Setup::on(cluster);
    let (name, user) = (setup.database.name(), format!("owner_of_{}", setup.database.name()));
    cluster.sql(&format!("create role {user} login; alter database {name} owner to {user}"));
    let job = crate::support::Job::ticker(setup.scratch.path(), "plain", &setup.database.conninfo_as(&user));
    for command in ["install", "create q", "config q ticker_max_lag=0.1", "status"] {
        job.run(command);
    }
    job.start();
    let before = setup.last_tick("q");
    setup.database.sql("select pgq.insert_event('q', 'kind', 'data')");
    setup.wait_for_tick_after("q", before);
    job.wait_for_log("INFO {maint_duration: ");
    job.stop();
    let log = job.log();
    assert!(!log.contains("CRITICAL") && !log.contains("ERROR"), "{log}");
    setup.database.sql(&format!("reassign owned by {user} to postgres; drop owned by {user}"));
    cluster.sql(&format!("drop role {user}"));
}
