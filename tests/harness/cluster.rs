use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::support::{Binaries, Cluster, Shutdown, StartError, run_dir, wait_until};

#[test]
fn cluster_starts_answers_and_leaves_nothing_behind() {
    let cluster = Cluster::builder().name("once").conf("work_mem = '3MB'").start();
    assert_eq!(cluster.value("show work_mem"), "3MB");
    let dir = cluster.socket_dir().to_owned();
    assert!(dir.exists());
    drop(cluster);
    assert!(!dir.exists());
}

#[test]
fn cluster_that_cannot_start_says_why() {
    let cluster = Cluster::builder().name("broken").conf("work_mem = 'much'").init().without_evidence();
    match cluster.try_start() {
        Err(StartError::Exited { status, log }) => {
            assert!(!status.success());
            assert!(log.contains("work_mem"), "{log}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!cluster.is_running());
}

#[test]
fn missing_server_programs_are_named() {
    let error = Binaries::at(Path::new("/nowhere")).unwrap_err();
    assert_eq!(error, "no initdb in /nowhere");
}

#[test]
fn clusters_started_at_the_same_time_do_not_collide() {
    let started: Vec<_> = (0..4).map(|_| thread::spawn(|| Cluster::builder().name("many").tcp().start())).collect();
    let clusters: Vec<Cluster> = started.into_iter().map(|thread| thread.join().unwrap()).collect();
    let mut ports: Vec<String> = clusters.iter().map(|cluster| cluster.value("show port")).collect();
    ports.sort();
    ports.dedup();
    assert_eq!(ports.len(), 4);
}

#[test]
fn committed_rows_outlive_every_kind_of_stop() {
    let cluster = Cluster::builder().name("stops").start();
    cluster.sql("create table t (how text)");
    cluster.sql("insert into t values ('restart')");
    cluster.restart();
    cluster.sql("insert into t values ('immediate')");
    cluster.stop(Shutdown::Immediate);
    assert!(!cluster.is_running());
    cluster.start();
    cluster.sql("insert into t values ('kill')");
    cluster.kill9();
    cluster.start();
    assert_eq!(cluster.value("select string_agg(how, ' ') from t"), "restart immediate kill");
}

#[test]
fn configuration_changes_with_a_reload() {
    let cluster = Cluster::builder().name("conf").start();
    cluster.append_conf("work_mem = '5MB'");
    cluster.reload();
    wait_until("the setting is seen", || match cluster.value("show work_mem") {
        seen if seen == "5MB" => Ok(()),
        seen => Err(seen),
    });
}

#[test]
fn hba_lines_come_before_the_trusting_ones() {
    let cluster = Cluster::builder().name("hba").tcp().hba("host all all 127.0.0.1/32 reject").start();
    let error = crate::support::Session::connect(&cluster.conninfo("postgres")).err().unwrap();
    assert_eq!(error.code, "28000", "{error}");
    assert_eq!(cluster.value("select 1"), "1");
}

#[test]
fn cluster_of_a_panicking_test_is_stopped() {
    let mut pid = String::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let cluster = Cluster::builder().name("panic").start().without_evidence();
        let pidfile = fs::read_to_string(cluster.data_dir().join("postmaster.pid")).unwrap();
        pidfile.lines().next().unwrap().clone_into(&mut pid);
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(outcome.is_err());
    assert!(!Path::new("/proc").join(pid).exists());
}

/// Runs in a process of its own, started by the next test, which kills that process.
#[test]
#[ignore = "a part of servers_end_when_the_test_process_is_killed"]
fn start_a_server_and_hang() {
    let cluster = Cluster::builder().name("orphan").start();
    println!("\nserver={}\n", cluster.data_dir().display());
    loop {
        thread::park();
    }
}

#[test]
fn servers_end_when_the_test_process_is_killed() {
    let output = run_dir::path().join("killed.out");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "harness::cluster::start_a_server_and_hang"])
        .stdout(fs::File::create(&output).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let data = wait_until("the other process has a server", || {
        let text = fs::read_to_string(&output).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("server=").map(ToOwned::to_owned));
        line.ok_or(text)
    });
    let pidfile = fs::read_to_string(Path::new(&data).join("postmaster.pid")).unwrap();
    let server = Path::new("/proc").join(pidfile.lines().next().unwrap());
    assert!(server.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the server and its directory are gone", || {
        if server.exists() || Path::new(&data).exists() { Err("still there") } else { Ok(()) }
    });
}
