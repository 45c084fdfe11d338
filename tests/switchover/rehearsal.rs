//! What `--rehearse` tells, finds and leaves behind.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::{Place, assert_open, is_open};
use crate::support::{Database, Scratch, wait_until};

/// With a trigger, which the copy puts aside.
const SCHEMA: &str = "create table t (id serial primary key, v text);
    create function noted() returns trigger language plpgsql as 'begin return new; end';
    create trigger noted before insert on t for each row execute procedure noted()";

/// Everything that a rehearsal could leave behind.
const CATALOG: &str = "
    select 'trigger ' || tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text from pg_trigger
    union all select 'relation ' || oid::regclass from pg_class where oid >= 16384 and relnamespace <> 'pg_toast'::regnamespace
    union all select 'function ' || oid::regprocedure from pg_proc where oid >= 16384
    union all select 'queue ' || queue_name from pgq.queue
    union all select 'consumer ' || co_name from pgq.consumer
    union all select 'table ' || queue_name || table_name || merge_state from londiste.subscriber_table
    union all select 'captured ' || queue_name || table_name from londiste.provider_table
    union all select 'sequence ' || queue_name || seq_name from londiste.subscriber_seq
    union all select 'put aside ' || table_name || ' ' || trigger_name from londiste.subscriber_pending_triggers
    union all select 'fence ' || last_value from londiste.fence_state
    union all select 'switchover ' || phase from londiste.switchover
    order by 1";

fn catalogs(p: &Place) -> [Vec<Vec<String>>; 2] {
    [&p.r.provider, &p.r.subscriber].map(|database| database.rows(CATALOG))
}

#[test]
fn tells_the_time_and_leaves_nothing() {
    let p = Place::new(SCHEMA);
    p.r.provider.sql("insert into t (v) select 'x' from generate_series(1, 100)");
    p.r.replay_until_in_sync();
    let before = catalogs(&p);
    let output = p.output("switchover --rehearse --verify quick");
    assert_eq!(output.status, 0, "{}", output.stderr);
    for text in ["Nobody could write for about ", "Triggers of 1 tables would be created again"] {
        assert!(output.stderr.contains(text), "{text}: {}", output.stderr);
    }
    assert_eq!(catalogs(&p), before);
    assert!(!p.r.scratch().path().join("db1-londiste-back.ini").exists());
    let plan = p.output("switchover --plan");
    assert_eq!((plan.status, plan.stdout.contains("all 1 tables are ok")), (0, true), "{}{}", plan.stdout, plan.stderr);
    assert_eq!(catalogs(&p), before);
}

/// Behind the point of no return it would be too late: nobody could write on either side.
#[test]
fn a_trigger_that_cannot_be_created_again_is_found_before() {
    let p = Place::new(SCHEMA);
    p.r.subscriber.sql("drop function noted()");
    let before = catalogs(&p);
    let told = |command: &str| {
        let output = p.output(command);
        assert_eq!(output.status, 2, "{}", output.stderr);
        for text in
            ["triggers that were put aside cannot come back", "public.t", "function public.noted() does not exist"]
        {
            assert!(output.stderr.contains(text), "{text}: {}", output.stderr);
        }
    };
    told("switchover --rehearse");
    assert_eq!(catalogs(&p), before);
    told("switchover");
    assert!(is_open(&p.r.provider) && is_open(&p.r.subscriber));
    p.r.subscriber.sql("create function noted() returns trigger language plpgsql as 'begin return new; end'");
    p.run("switchover");
    assert_open(&p.r.subscriber, &p.r.provider);
    assert_eq!(p.r.subscriber.value("select count(*) from pg_trigger where tgname = 'noted'"), "1");
}

/// The numbers of rows differ while writers go on.
#[test]
fn counts_rows_under_writers() {
    let p = Place::new(SCHEMA);
    let stop = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        let session = p.r.provider.session();
        let stop = &stop;
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                session.sql("insert into t (v) select 'x' from generate_series(1, 200)");
            }
        });
        let output = p.output("switchover --rehearse --verify quick");
        stop.store(true, Ordering::Relaxed);
        output
    });
    assert!(output.status == 0 && output.stderr.contains("Nobody could write for about "), "{}", output.stderr);
}

#[test]
fn disarms_when_it_is_stopped() {
    let p = Place::new(SCHEMA);
    let before = catalogs(&p);
    let replay = Pid::from_raw(p.r.londiste.pid().unwrap());
    let scratch = Scratch::new();
    let mut rehearsal = p.r.londiste.program(["switchover", "--rehearse"]).spawn(&scratch);
    let armed = |database: &Database| database.value("select count(*) from londiste.fence_armed()");
    wait_until("both sides are armed", || {
        let armed = [&p.r.provider, &p.r.subscriber].map(armed);
        if armed == ["1", "1"] { Ok(()) } else { Err(armed.join(" ")) }
    });
    // It waits for a tick that nobody applies.
    kill(replay, Signal::SIGSTOP).unwrap();
    kill(Pid::from_raw(i32::try_from(rehearsal.id()).unwrap()), Signal::SIGINT).unwrap();
    rehearsal.wait().unwrap();
    kill(replay, Signal::SIGCONT).unwrap();
    assert_eq!(catalogs(&p), before, "{}", fs::read_to_string(scratch.path().join("stderr")).unwrap());
}

/// One side is armed, and somebody is in the way on the other one.
#[test]
fn disarms_when_it_is_stopped_while_it_arms() {
    let p = Place::new(SCHEMA);
    let before = catalogs(&p);
    let holder = p.r.provider.session();
    holder.sql("begin; lock table t in row exclusive mode");
    let scratch = Scratch::new();
    let mut rehearsal = p.r.londiste.program(["switchover", "--rehearse"]).spawn(&scratch);
    wait_until("the new side is armed", || {
        let armed = p.r.subscriber.value("select count(*) from londiste.fence_armed()");
        if armed == "1" { Ok(()) } else { Err(armed) }
    });
    kill(Pid::from_raw(i32::try_from(rehearsal.id()).unwrap()), Signal::SIGINT).unwrap();
    rehearsal.wait().unwrap();
    holder.sql("rollback");
    assert_eq!(catalogs(&p), before, "{}", fs::read_to_string(scratch.path().join("stderr")).unwrap());
}

/// The ticker, which `pgq.force_tick()` wakes, is always faster than a second transaction of the command.
#[test]
fn a_tick_is_made_beside_a_ticker_that_is_faster() {
    let p = Place::new(SCHEMA);
    p.r.provider.sql(
        "alter function pgq.force_tick(text) rename to force_tick_alone;
         create function pgq.force_tick(i_queue_name text) returns bigint language sql
             as 'select set_config(''test.forced'', ''yes'', true); select pgq.force_tick_alone($1)';
         alter function pgq.ticker(text) rename to ticker_alone;
         create function pgq.ticker(i_queue_name text) returns bigint language plpgsql as '
             begin
                 if current_setting(''test.forced'', true) = ''yes'' then
                     return pgq.ticker_alone(i_queue_name);
                 end if;
                 perform pgq.ticker();
                 return null;
             end'",
    );
    let output = p.r.londiste.program(["switchover", "--rehearse"]).output();
    assert_eq!(output.status, 0, "{}", output.stderr);
}
