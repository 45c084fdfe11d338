//! What the commands check, undo, leave behind and tell.

use std::path::Path;

use super::place::{Place, assert_open, block, is_open};
use crate::support::{Cluster, Database, Job, Program, Replication, wait_until};

const SCHEMA: &str = "create table t (id serial primary key, v text); create table u (id int primary key)";

#[test]
fn a_time_limit_that_is_too_short_undoes_everything() {
    let p = Place::new(SCHEMA);
    let told = p.r.scratch().path().join("told");
    // Replay stands still from the moment when writers are kept out.
    let pid = p.r.londiste.pid().unwrap();
    let hooks = [
        "--before-fence".to_owned(),
        format!("kill -STOP {pid}"),
        "--on-undo".to_owned(),
        format!("kill -CONT {pid}; echo $RLONDISTE_PHASE $RLONDISTE_DIRECTION > {}", told.display()),
    ];
    let program = p.r.londiste.program(["switchover", "--timeout", "2"]);
    let output = hooks.iter().fold(program, Program::arg).output();
    assert_eq!(output.status, 2, "{}", output.stderr);
    for text in ["is closed for 2 s", "has not reached tick", "Undone"] {
        assert!(output.stderr.contains(text), "{text}: {}", output.stderr);
    }
    for database in [&p.r.provider, &p.r.subscriber] {
        assert!(is_open(database));
        assert_eq!(database.value("select count(*) from londiste.fence_armed()"), "0");
        database.sql("select phase from londiste.switchover where phase <> 'undone'");
    }
    assert_eq!(std::fs::read_to_string(told).unwrap(), "on-undo switchover\n");
    // Writers go on, and so does replication; the next call succeeds.
    p.r.provider.sql("insert into t (v) values ('afterwards')");
    p.assert_equal();
    p.run("switchover");
    assert_open(&p.r.subscriber, &p.r.provider);
    p.r.subscriber.sql("insert into t (v) values ('there')");
    p.assert_equal();
}

#[test]
fn what_would_be_lost_keeps_a_switchover_from_beginning() {
    let p = Place::new(SCHEMA);
    // DDL after a plan that was good.
    assert_eq!(p.output("switchover --plan").status, 0);
    p.r.provider.sql("create sequence other; alter table u add column nr int default nextval('other')");
    let output = p.output("switchover");
    assert_eq!(output.status, 2);
    for text in ["column nr on provider not on subscriber", "sequences that are not replicated: public.other"] {
        assert!(output.stderr.contains(text), "{text}: {}", output.stderr);
    }
    assert!(is_open(&p.r.provider));
    assert_eq!(p.r.provider.value("select count(*) from londiste.fence_armed()"), "0");
    let plan = p.output("switchover --plan --json");
    assert!(plan.status == 2 && plan.stdout.contains("\"level\": \"error\""), "{}", plan.stdout);
    // Nobody is there to go back from.
    let output = p.output("switchback");
    assert!(output.status == 2 && output.stderr.contains("there was no switchover"), "{}", output.stderr);
}

/// Nobody has noticed yet that the table does not have all changes.
#[test]
fn a_table_that_is_not_captured_keeps_a_switchover_from_beginning() {
    let mut r = Replication::new().with_schema(SCHEMA);
    r.ticker.configure("maint_delay", "600");
    let p = Place::up(r, "postgres");
    p.r.provider.sql("alter table t disable trigger user; insert into t (v) values ('lost')");
    for command in ["switchover --plan", "switchover --rehearse", "switchover"] {
        let output = p.output(command);
        assert_eq!(output.status, 2, "{command}: {}{}", output.stdout, output.stderr);
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(told.contains("public.t is ok, but changes may be missing: "), "{command}: {told}");
    }
    assert!(is_open(&p.r.provider) && is_open(&p.r.subscriber));
}

#[test]
fn rows_that_differ_undo_a_switchover_that_compares() {
    let p = Place::new(SCHEMA);
    p.r.provider.sql("insert into t (v) values ('a'), ('b')");
    p.r.replay_until_in_sync();
    p.r.subscriber.sql("delete from t where v = 'b'");
    for verify in ["quick", "full"] {
        let output = p.output(&format!("switchover --verify {verify}"));
        assert_eq!(output.status, 2, "{}", output.stderr);
        assert!(output.stderr.contains("the two sides are not equal"), "{verify}: {}", output.stderr);
        assert!(is_open(&p.r.provider) && is_open(&p.r.subscriber));
    }
    p.r.subscriber.sql("insert into t (id, v) values (2, 'b')");
    p.run("switchover --verify full");
    assert_open(&p.r.subscriber, &p.r.provider);
}

/// Its session has sent the call that tickers send, and does nothing else for a while.
#[test]
fn the_ticker_inside_of_replay_does_not_give_way_to_a_switchover() {
    let p = Place::with_ticker_inside(SCHEMA);
    p.r.provider.sql("insert into t (v) values ('a')");
    let output = p.meanwhile(&["switchover", "--verify", "full"], || {
        let looks = || {
            let is_look = |line: &&str| line.contains(p.r.provider.name()) && line.contains("execute");
            let log = Cluster::provider().log();
            let (mut count, mut ours) = (0, false);
            for line in log.lines() {
                ours = if line.starts_with("20") { is_look(&line) } else { ours };
                count += usize::from(ours && line.contains("a.query_start > pg_catalog.clock_timestamp()"));
            }
            count
        };
        let before = looks();
        wait_until("replay has looked for tickers", || if looks() > before + 3 { Ok(()) } else { Err(looks()) });
    });
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert!(!p.r.londiste.log().contains("A ticker serves"), "{}", p.r.londiste.log());
    assert_open(&p.r.subscriber, &p.r.provider);
    p.r.subscriber.sql("insert into t (v) values ('b')");
    p.assert_equal();
}

#[test]
fn a_long_writer_is_named_and_writers_are_told_where_to_go() {
    let p = Place::new(SCHEMA);
    let long = p.r.provider.session();
    let output = p.meanwhile(&["switchover", "--timeout", "3"], || {
        long.sql("begin; insert into u values (1)");
    });
    assert_eq!(output.status, 2, "{}", output.stderr);
    let process = format!("did not come to an end in time: process {}", long.backend_pid());
    assert!(output.stderr.contains(&process), "{}", output.stderr);
    assert!(is_open(&p.r.provider));
    long.sql("insert into u values (2); commit");
    p.run("switchover");
    let error = p.r.provider.error("insert into u values (3)");
    assert_eq!(error.code, "25006");
    assert!(
        error.message.contains(&format!("this database has moved to {}", &p.r.subscriber.conninfo()[..10])),
        "{error}"
    );
}

/// A table that nobody has planned with: it is there before the gate, or its transaction has not ended there.
#[test]
fn a_table_that_is_made_during_a_switchover_is_told_of() {
    let p = Place::new(SCHEMA);
    let made = |sql: &str| {
        let maker = p.r.provider.session();
        let output = p.meanwhile(&["switchover", "--timeout", "2"], || {
            maker.sql(sql);
        });
        (maker, output)
    };
    let (maker, output) = made("begin; create table late (id int); insert into late values (1)");
    assert_eq!(output.status, 2, "{}", output.stderr);
    let process =
        format!("a table is being made, to which the fence does not reach: by process {}", maker.backend_pid());
    assert!(output.stderr.contains(&process), "{}", output.stderr);
    assert!(is_open(&p.r.provider) && is_open(&p.r.subscriber));
    maker.sql("rollback");
    let (maker, output) = made("create table late (id int); insert into late values (1)");
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert!(
        output.stderr.contains("WARNING") && output.stderr.contains("open at public.late: made"),
        "{}",
        output.stderr
    );
    assert_open(&p.r.subscriber, &p.r.provider);
    assert_eq!(maker.error("insert into late values (2)").code, "25006");
}

#[test]
fn triggers_of_users_fire_on_the_open_side_only() {
    let p = Place::new(
        "create table t (id serial primary key, v text);
         create table audit (id serial primary key, t int);
         create function note() returns trigger language plpgsql as
             'begin insert into public.audit (t) values (new.id); return null; end';
         create trigger note after insert on t for each row execute procedure note()",
    );
    for (nr, command) in ["switchover", "switchback", "switchover"].iter().enumerate() {
        p.open_side(nr).0.sql("insert into t (v) values ('x')");
        p.run(command);
        let (open, closed) = p.open_side(nr + 1);
        let triggers = "select count(*) from pg_trigger where tgname = 'note'";
        assert_eq!((open.value(triggers), closed.value(triggers)), ("1".to_owned(), "0".to_owned()), "{command}");
        open.sql("insert into t (v) values ('y')");
        p.assert_equal();
    }
    assert_eq!(p.r.subscriber.value("select (select count(*) from t) || ' ' || (select count(*) from audit)"), "6 6");
}

#[test]
fn the_way_back_can_be_given_up() {
    let p = Place::new(SCHEMA);
    let stderr = p.run("switchover --on-open true");
    assert!(block(&stderr) < 30.0);
    let status = p.output("switchover status").stdout;
    assert!(status.starts_with("switchover: done\n") && status.contains(": closed, 2 tables armed"), "{status}");
    assert!(p.back.is_running());
    p.run("switchover finish");
    assert!(!p.back.is_running());
    assert!(!p.r.scratch().path().join("db1-londiste-back.ini").exists());
    assert_open(&p.r.subscriber, &p.r.provider);
    for database in [&p.r.provider, &p.r.subscriber] {
        let left = "select (select count(*) from pgq.queue where queue_name ~ '_back$')
                         + (select count(*) from londiste.subscriber_table where queue_name ~ '_back$')
                         + (select count(*) from londiste.provider_table where queue_name ~ '_back$')";
        assert_eq!(database.value(left), "0");
    }
    assert_eq!(p.output("switchover status").stdout.lines().next(), Some("switchover: finished"));
    let output = p.output("switchback");
    assert_eq!(output.status, 2);
    assert!(output.stderr.contains("cannot begin a switchback: the way back was given up"), "{}", output.stderr);
    p.run("switchover finish");
    p.r.subscriber.sql("insert into t (v) values ('x')");
    assert_turned(&p.r.londiste.ini(), &p.r.londiste, &p.r.subscriber);
}

/// The job has no work any more: nothing makes it bring old rows to the side that writers are on, and nobody is told to do so.
#[track_caller]
fn assert_turned(ini: &Path, job: &Job, open: &Database) {
    let program = |command: &str| command.split(' ').fold(Program::new([ini]).dir(ini.parent().unwrap()), Program::arg);
    let before = open.rows("select * from t order by id");
    let refusal = "writers have moved from provider (";
    let commands =
        ["copy", "subscriber resync --all", "subscriber register", "subscriber check", "--rewind", "--reset", "up"];
    for command in commands {
        let output = program(command).output();
        assert_eq!(output.status, 1, "{command}: {}", output.stderr);
        assert!(output.stderr.contains(refusal), "{command}: {}", output.stderr);
    }
    let status = program("subscriber status").run().stdout;
    assert!(status.contains(&format!("Problem:     {refusal}")), "{status}");
    for advice in ["goes round", "resync", "--rewind"] {
        assert!(!status.contains(advice), "{advice}: {status}");
    }
    let doctor = program("doctor").status(1).run().stdout;
    assert!(
        doctor.contains(refusal)
            && (doctor.contains("-back.ini doctor")
                || doctor.contains("ini switchover status")
                || doctor.contains("londiste.ini doctor")),
        "{doctor}"
    );
    for advice in ["subscriber remove", "resync", "--rewind", "replay -d"] {
        assert!(!doctor.contains(advice), "{advice}: {doctor}");
    }
    let logged = job.log().len();
    program("replay -d").run();
    job.wait_for_log_after(logged, refusal);
    job.stop();
    assert_eq!(open.rows("select * from t order by id"), before);
}

#[test]
fn a_job_that_is_turned_round_does_nothing() {
    let p = Place::new(SCHEMA);
    p.run("switchover");
    p.r.subscriber.sql("insert into t (v) values ('there')");
    assert_turned(&p.r.londiste.ini(), &p.r.londiste, &p.r.subscriber);
    p.assert_equal();
    p.run("switchback");
    p.r.provider.sql("insert into t (v) values ('back')");
    assert_turned(&p.r.scratch().path().join("db1-londiste-back.ini"), &p.back, &p.r.provider);
    p.assert_equal();
}

#[test]
fn a_fence_whose_program_was_killed_ends_by_itself() {
    let p = Place::new(SCHEMA);
    let killed =
        p.r.londiste.program(["switchover", "--timeout", "3"]).env("FAILPOINTS", "switchover::fenced=return").output();
    assert_eq!(killed.status, 137, "{}", killed.stderr);
    let error = p.r.provider.error("insert into u values (1)");
    assert!(error.code == "25006" && error.hint.contains("opens by itself at"), "{error}");
    wait_until("writers go on", || {
        p.r.provider.try_rows("insert into u values (1)").map(drop).map_err(|e| e.to_string())
    });
    assert_eq!(p.r.provider.value("select last_value from londiste.fence_state"), "1");
    p.run("switchover");
    assert_open(&p.r.subscriber, &p.r.provider);
    p.assert_equal();
}

/// Whatever becomes of the program, the lock on the gate ends with the message that has taken it.
#[test]
fn the_fence_is_closed_by_one_message() {
    let p = Place::new(SCHEMA);
    p.r.provider.log_statements();
    p.run("switchover");
    let name = p.r.provider.name();
    let log = Cluster::provider().log();
    let closings: Vec<&str> = log
        .lines()
        .filter(|line| {
            line.contains("select londiste.fence_close(") && line.contains(name) && line.contains("statement: ")
        })
        .collect();
    // For a time, and for good.
    assert_eq!(closings.len(), 2, "{closings:#?}");
    for line in closings {
        for part in [
            "set transaction",
            "set local lock_timeout = 500;",
            "set local synchronous_commit = on; select londiste.fence_close(",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!line.contains("begin"), "{line}");
    }
}

#[test]
fn a_request_to_stop_undoes_a_switchover() {
    let p = Place::new(SCHEMA);
    let replay = nix::unistd::Pid::from_raw(p.r.londiste.pid().unwrap());
    let hook = format!("kill -STOP {replay}");
    let scratch = crate::support::Scratch::new();
    let command = ["switchover", "--timeout", "100", "--before-fence", &hook];
    let mut program = p.r.londiste.program(command).spawn(&scratch);
    wait_until("the old side is closed", || if is_open(&p.r.provider) { Err("open") } else { Ok(()) });
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(program.id()).unwrap()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(program.wait().unwrap().code(), Some(2));
    nix::sys::signal::kill(replay, nix::sys::signal::Signal::SIGCONT).unwrap();
    assert!(is_open(&p.r.provider) && is_open(&p.r.subscriber));
    p.r.provider.sql("insert into u values (2)");
}

/// Status 3, as of a check that could not be made.
#[test]
fn a_side_that_cannot_be_reached_is_no_verdict() {
    let mut p = Place::new(SCHEMA);
    p.r.londiste.stop();
    let output = p.output("switchover --max-lag 1");
    // By the first look, or by the tick that it does not apply.
    let is_told = ["has not reached tick", "more than --max-lag"].iter().any(|text| output.stderr.contains(text));
    assert!(output.status == 2 && is_told, "{}", output.stderr);
    assert!(!p.r.scratch().path().join("db1-londiste-back.ini").exists());
    p.r.londiste.configure("subscriber_db", "host=/nowhere dbname=x");
    for command in ["switchover --plan", "switchover", "switchover status"] {
        let output = p.output(command);
        assert_eq!((output.status, output.stdout.as_str()), (3, ""), "{command}: {}", output.stderr);
    }
    assert!(is_open(&p.r.provider));
}

/// The old side is opened by new sessions.
#[test]
fn sessions_that_break_while_writers_are_kept_out_undo_a_switchover() {
    let p = Place::new(SCHEMA);
    let replay = p.r.londiste.pid().unwrap();
    let hook = format!("kill -STOP {replay}");
    let output = std::thread::scope(|scope| {
        let running =
            scope.spawn(|| p.r.londiste.program(["switchover", "--timeout", "100", "--before-fence", &hook]).output());
        wait_until("the old side is closed", || if is_open(&p.r.provider) { Err("open") } else { Ok(()) });
        for database in [&p.r.provider, &p.r.subscriber] {
            database.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where application_name = 'db1-londiste-switchover' and datname = current_database()",
            );
        }
        running.join().unwrap()
    });
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(replay), nix::sys::signal::Signal::SIGCONT).unwrap();
    assert_eq!(output.status, 2, "{}", output.stderr);
    assert!(output.stderr.contains("Undone: "), "{}", output.stderr);
    assert!(is_open(&p.r.provider) && is_open(&p.r.subscriber));
    p.run("switchover");
    assert_open(&p.r.subscriber, &p.r.provider);
}

#[test]
fn a_prepared_transaction_is_planned_for_and_named() {
    let provider = Cluster::builder().name("prepared").conf("max_prepared_transactions = 5").start();
    let p = Place::between(&provider, Cluster::subscriber(), SCHEMA);
    let output = p.meanwhile(&["switchover", "--timeout", "2"], || {
        p.r.provider.sql("begin; insert into u values (1); prepare transaction 'half'");
    });
    assert_eq!(output.status, 2, "{}", output.stderr);
    assert!(output.stderr.contains("in time: a prepared transaction \"half\""), "{}", output.stderr);
    let plan = p.output("switchover --plan");
    assert!(
        plan.status == 1 && plan.stdout.contains("prepared transactions hold the gate, if they have written: half"),
        "{}",
        plan.stdout
    );
    p.r.provider.sql("commit prepared 'half'");
    p.run("switchover");
    p.assert_equal();
}

/// Of a replicated table that is an error; of another one, which may be written to afterwards, a warning.
#[test]
fn tables_that_cannot_be_closed_are_named() {
    let [provider, subscriber] = ["host1", "host2"].map(|name| Cluster::builder().name(name).start());
    let p = Place::of_owner(&provider, &subscriber, "create table \"Odd.t\" (id int primary key)");
    assert_eq!(p.output("switchover --plan").status, 0);
    provider.sql("create role somebody");
    p.r.provider.sql("create table other (id int); alter table other owner to somebody");
    let plan = p.output("switchover --plan");
    assert!(plan.status == 1 && plan.stdout.contains("warning  public.other on "), "{}", plan.stdout);
    assert_eq!(p.output("switchover --plan --fence set").status, 1, "it is not replicated either");
    p.r.provider.sql("alter table \"Odd.t\" owner to somebody; grant all on \"Odd.t\" to shop_owner");
    let output = p.output("switchover --fence set");
    assert_eq!(output.status, 2);
    assert!(output.stderr.contains("ERROR public.\"Odd.t\" on "), "{}", output.stderr);
}
