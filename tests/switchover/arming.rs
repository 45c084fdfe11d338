//! Tables that an autovacuum is at work on while they are armed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::{Place, assert_open};
use crate::support::{Cluster, Scratch, wait_until};

/// A table that a vacuum takes hours for: it sleeps after each page.
const SCHEMA: &str = "create table big (id int primary key, v text)
    with (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_enabled = off)";

/// A cluster whose autovacuum looks each second.
fn provider(conf: &str) -> Cluster {
    Cluster::builder().name("vacuumed").conf("autovacuum_naptime = 1s").conf(conf).start()
}

/// As an owner who is no superuser: the statements of autovacuums are hidden from him.
fn place(provider: &Cluster) -> (Cluster, Place) {
    let subscriber = Cluster::builder().name("follower").start();
    let place = Place::of_owner(provider, &subscriber, SCHEMA);
    place.r.provider.log_statements();
    (subscriber, place)
}

fn fill(p: &Place) {
    p.r.provider.sql("insert into big select i, repeat('x', 500) from generate_series(1, 20000) i");
    p.r.replay_until_in_sync();
}

/// Waits until an autovacuum is at work on the table; returns its process.
fn wait_for_autovacuum(p: &Place, what: &str) -> String {
    let mut found = String::new();
    wait_until("an autovacuum is at work", || {
        let sql = format!(
            "select l.pid from pg_locks l join pg_stat_activity a using (pid)
             where l.relation = 'big'::regclass and l.granted and a.query like 'autovacuum: {what}' limit 1"
        );
        found = p.r.provider.column(&sql).concat();
        if found.is_empty() { Err("none") } else { Ok(()) }
    });
    found
}

/// Their sessions have a lock at nearly each look, and each time by another transaction.
#[test]
fn sessions_that_write_all_the_time_do_not_keep_a_table_from_being_armed() {
    let p = Place::new("create table t (id serial primary key, v text)");
    let stop = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        for _ in 0..3 {
            let session = p.r.provider.session();
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    session.sql("begin; insert into t (v) values ('x'); select pg_sleep(0.03); commit");
                }
            });
        }
        let output = p.r.londiste.program(["switchover", "--rehearse"]).output();
        stop.store(true, Ordering::Relaxed);
        output
    });
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert!(output.stderr.contains("Armed 1 tables of"), "{}", output.stderr);
}

#[test]
fn an_autovacuum_gives_way_to_the_fence() {
    let cluster = provider("autovacuum = on");
    let (_subscriber, p) = place(&cluster);
    fill(&p);
    p.r.provider.sql("delete from big where id % 2 = 0; alter table big set (autovacuum_enabled = on)");
    p.r.replay_until_in_sync();
    let pid = wait_for_autovacuum(&p, "VACUUM%public.big");
    let output = p.output("switchover --rehearse");
    assert_eq!(output.status, 0, "{}", output.stderr);
    let log = cluster.log();
    let displaced =
        log.lines().any(|line| line.contains(&format!(" {pid} ")) && line.contains("canceling autovacuum task"));
    assert!(displaced, "process {pid}: {log}");
    wait_for_autovacuum(&p, "VACUUM%public.big");
    p.run("switchover");
    assert_open(&p.r.subscriber, &p.r.provider);
    p.assert_equal();
}

/// The server does not cancel it: who waits for it holds up all writers of the table.
#[test]
fn an_autovacuum_that_does_not_give_way_is_asked_once() {
    let cluster = provider("autovacuum_freeze_max_age = 100000");
    let (_subscriber, p) = place(&cluster);
    fill(&p);
    p.r.provider.sql(
        "create temporary table burned (i int);
         do $$ begin for i in 1..101000 loop begin insert into burned values (i); exception when others then null; end; end loop; end $$",
    );
    let pid = wait_for_autovacuum(&p, "VACUUM%public.big (to prevent wraparound)");
    let scratch = Scratch::new();
    let mut rehearsal = p.r.londiste.program(["switchover", "--rehearse"]).spawn(&scratch);
    let looks = || {
        let is_look =
            |line: &&str| line.contains("db1-londiste-switchover LOG:  execute") && line.contains("coalesce(l.pid, 0)");
        cluster.log().lines().filter(is_look).count()
    };
    wait_until("it has looked at the table many times", || {
        let looks = looks();
        if looks > 8 { Ok(()) } else { Err(looks.to_string()) }
    });
    kill(Pid::from_raw(i32::try_from(rehearsal.id()).unwrap()), Signal::SIGINT).unwrap();
    rehearsal.wait().unwrap();
    let arming = |line: &&str| line.contains("londiste.fence_arm(") && line.contains("statement: ");
    let log = cluster.log();
    let big = p.r.provider.value("select 'big'::regclass::oid");
    let tries: Vec<&str> =
        log.lines().filter(arming).filter(|line| line.contains(&format!("fence_arm({big})"))).collect();
    assert!(tries.len() == 1 && tries[0].contains("lock_timeout = 1500;"), "{tries:#?}");
    assert!(!log.contains("canceling autovacuum task"));
    p.r.provider.sql(&format!("select pg_terminate_backend({pid})"));
}
