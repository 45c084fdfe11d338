//! One ticker for all databases of a server.

use std::fs;

use super::Setup;
use crate::support::{Cluster, Job, Program, Scratch, wait_until};

/// A job with section `[pgqd]`.
fn job(scratch: &Scratch, cluster: &Cluster, keys: &str) -> Job {
    let job = Job::ticker(scratch.path(), "all", "");
    let base = cluster.conninfo("");
    let base = base.trim_end_matches("dbname=");
    fs::write(
        job.ini(),
        format!(
            "[pgqd]\njob_name = all\nlogfile = all.log\npidfile = all.pid\nbase_connstr = {base}\n\
             check_period = 0.1\nticker_period = 0.02\nmaint_period = 0.5\nretry_period = 0.1\n{keys}"
        ),
    )
    .unwrap();
    job
}

#[track_caller]
fn assert_ticks(setup: &Setup) {
    let before = setup.last_tick("q");
    setup.database.sql("select pgq.insert_event('q', 'kind', 'data')");
    setup.wait_for_tick_after("q", before);
}

#[test]
fn databases_with_queues_are_served_as_they_come_and_go() {
    let cluster = Cluster::builder().name("many").start();
    let new = || Setup::on(&cluster);
    let (first, second, without) = (new(), new(), new());
    for setup in [&first, &second] {
        setup.job.run("install");
        setup.create_queues(&["q"]);
    }
    let scratch = Scratch::new();
    let job = job(&scratch, &cluster, "");
    job.start();
    for setup in [&first, &second] {
        assert_ticks(setup);
        let name = setup.database.name();
        job.wait_for_log(&format!(" INFO {name}: {{ticks: "));
        job.wait_for_log(&format!(" INFO {name}: {{maint_duration: "));
        job.wait_for_log(&format!(" INFO {name}: Rotating q\n"));
    }

    without.job.run("install");
    without.create_queues(&["q"]);
    assert_ticks(&without);

    let name = first.database.name().to_owned();
    drop(first);
    job.wait_for_log(&format!(" INFO Leaving database {name}\n"));
    assert_ticks(&second);
    job.stop();
    let log = job.log();
    assert!(!log.contains("Serving database postgres"), "{log}");
}

/// As `pgqd`: no command, the options before the file.
#[test]
fn file_of_pgqd_needs_no_command() {
    let setup = Setup::with_queues(&["q"]);
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "all", "");
    let (base, _) = setup.database.conninfo().split_once(" dbname=").unwrap();
    let text = format!(
        "[pgqd]\njob_name = all\nlogfile = all.log\npidfile = all.pid\nbase_connstr = {base}\ninitial_database = postgres\n\
         database_list = {}\nticker_period = 0.02\n",
        setup.database.name()
    );
    fs::write(job.ini(), text).unwrap();
    let program = |options: &[&str]| Program::new(options).arg(job.ini()).dir(scratch.path());
    for options in [&["-d"][..], &["-d", "-q"], &["-v", "-d"]] {
        program(options).stdout("").stderr("").run();
        assert!(job.is_running(), "{options:?}\n{}", job.log());
        assert_ticks(&setup);
        job.reload();
        job.stop();
    }
    // In the foreground where -d is not given.
    let mut foreground = program(&["-q"]).called("pgqd").spawn(&scratch);
    wait_until("the ticker has its pidfile", || if job.is_running() { Ok(()) } else { Err("no pidfile") });
    assert_ticks(&setup);
    program(&["-k"]).called("pgqd").stdout("").stderr("").run();
    assert_eq!(foreground.wait().unwrap().code(), Some(143));
}

#[test]
fn only_listed_databases_are_served() {
    let cluster = Cluster::builder().name("listed").start();
    let (listed, other) = (Setup::on(&cluster), Setup::on(&cluster));
    for setup in [&listed, &other] {
        setup.job.run("install");
        setup.create_queues(&["q"]);
    }
    let before = other.last_tick("q");
    let scratch = Scratch::new();
    let job = job(&scratch, &cluster, &format!("database_list = nowhere, {}\n", listed.database.name()));
    job.start();
    for _ in 0..5 {
        assert_ticks(&listed);
    }
    assert_eq!(other.last_tick("q"), before);
}

#[test]
fn retried_events_do_not_wait_for_the_maintenance() {
    let cluster = Cluster::builder().name("retry").start();
    let setup = Setup::on(&cluster);
    setup.job.run("install");
    setup.create_queues(&["q"]);
    let scratch = Scratch::new();
    let job = job(&scratch, &cluster, "maint_period = 1000\n");
    job.start();
    job.wait_for_log(": {maint_duration: ");
    setup.job.run("register q c");
    assert_ticks(&setup);
    // An idle tick may lie before the event's.
    let mut batch = String::new();
    wait_until("a batch has the event", || {
        batch = setup.database.value("select pgq.next_batch('q', 'c')");
        if batch == "NULL" {
            return Err("there is no batch".to_owned());
        }
        match setup.database.value(&format!("select count(*) from pgq.get_batch_events({batch})")).as_str() {
            "0" => {
                setup.database.sql(&format!("select pgq.finish_batch({batch})"));
                Err("the batch is empty".to_owned())
            }
            _ => Ok(()),
        }
    });
    setup.database.sql(&format!(
        "select pgq.event_retry({batch}, ev_id, 0) from pgq.get_batch_events({batch}); select pgq.finish_batch({batch})"
    ));
    job.wait_for_log(&format!(" INFO {}: Got 1 events for retry\n", setup.database.name()));
}

#[test]
fn other_commands_need_a_database() {
    let scratch = Scratch::new();
    let job = job(&scratch, Cluster::provider(), "");
    let output = job.program(["status"]).stdout("").status(2).run();
    assert!(output.stderr.contains("this command needs section [pgqadm]"), "{}", output.stderr);
}
