//! `on_event`: the command is run once when something begins, and once when it is over.

use std::fs;

use serde_json::Value;

use super::Ticking;
use crate::support::{Cluster, Job, Replication, Scratch, Shutdown, is_alive, wait_until};

/// A command that appends its input to a file.
fn tell(job: &mut Job, dir: &std::path::Path) -> std::path::PathBuf {
    let file = dir.join(format!("{}.told", job.name()));
    job.configure("on_event", &format!("cat >> {}", file.display()));
    file
}

/// Waits for so many documents, and gives each as event, state and object.
#[track_caller]
fn wait_for(file: &std::path::Path, count: usize) -> Vec<(Value, String)> {
    let mut told = Vec::new();
    wait_until(&format!("{count} events are told"), || {
        let text = fs::read_to_string(file).unwrap_or_default();
        told = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
        if told.len() >= count { Ok(()) } else { Err(text) }
    });
    assert_eq!(told.len(), count, "{told:?}");
    let word = |json: &Value, field: &str| json[field].as_str().unwrap().to_owned();
    told.into_iter()
        .map(|json| (json.clone(), [word(&json, "event"), word(&json, "state"), word(&json, "object")].join(" ")))
        .collect()
}

#[test]
fn replay_tells_of_parked_tables_failures_and_lag() {
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    let scratch = r.scratch().path().to_owned();
    let file = tell(&mut r.londiste, &scratch);
    r.londiste.configure("lag_warn", "3");
    let r = r.up();
    r.provider.sql("insert into t values (1, 'x')");
    r.assert_in_sync();
    r.subscriber.sql("alter table t drop column v");
    r.provider.sql("insert into t values (2, 'x')");
    let told = wait_for(&file, 1);
    assert_eq!(told[0].1, "table-parked begun public.t");
    assert_eq!((&told[0].0["job"], &told[0].0["program"]), (&"db1-londiste".into(), &"replay".into()));
    assert!(told[0].0["fact"].as_str().unwrap().contains("column \"v\" does not exist"), "{told:?}");
    r.subscriber.sql("alter table t add column v text; update t set v = 'x'");
    r.wait_until_ok();
    assert_eq!(wait_for(&file, 2)[1].1, "table-parked over public.t");
    // The ticker is away, and events wait.
    r.ticker.stop();
    r.provider.sql("insert into t values (3, 'x')");
    assert_eq!(wait_for(&file, 3)[2].1, "lag begun db1-londiste");
    r.ticker.start();
    assert_eq!(wait_for(&file, 4)[3].1, "lag over db1-londiste");
    // An error that comes again.
    r.subscriber.sql("alter table t add constraint short check (length(v) < 3)");
    r.provider.sql("insert into t values (4, 'long')");
    wait_until("the failure is told", || {
        let text = fs::read_to_string(&file).unwrap();
        let is_told =
            text.lines().any(|line| line.contains("\"failed\"") && line.contains("23514") && line.contains("begun"));
        if is_told { Ok(()) } else { Err(text) }
    });
}

#[test]
fn command_that_fails_is_logged_and_another_one_is_read_again() {
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    r.londiste.configure("on_event", "exit 3");
    let mut r = r.up();
    r.subscriber.sql("alter table t drop column v");
    r.provider.sql("insert into t values (2, 'x')");
    r.londiste.wait_for_log("on_event: the command failed for table-parked public.t: exit status: 3");
    let scratch = r.scratch().path().to_owned();
    let file = tell(&mut r.londiste, &scratch);
    r.londiste.reload();
    r.subscriber.sql("alter table t add column v text");
    assert_eq!(wait_for(&file, 1)[0].1, "table-parked over public.t");
}

#[test]
fn ticker_tells_of_a_blocked_rotation_and_of_a_server_that_is_away() {
    let cluster = Cluster::builder().name("away").start();
    let mut t = Ticking::on(&cluster);
    let scratch = t.scratch.path().to_owned();
    let file = tell(&mut t.job, &scratch);
    t.job.configure("maint_delay", "1");
    t.database
        .sql("update pgq.queue set queue_rotation_period = '1 second'; select pgq.register_consumer('q', 'dead')");
    t.job.start();
    let told = wait_for(&file, 1);
    assert_eq!(told[0].1, format!("rotation-blocked begun queue q in database {}", t.database.name()));
    assert!(told[0].0["fact"].as_str().unwrap().contains("consumer dead"), "{told:?}");
    // What is not known stays as it was.
    cluster.stop(Shutdown::Fast);
    assert_eq!(wait_for(&file, 2)[1].1, "failed begun ");
    cluster.start();
    assert_eq!(wait_for(&file, 3)[2].1, "failed over ");
    t.database.sql("select pgq.unregister_consumer('q', 'dead')");
    assert_eq!(wait_for(&file, 4)[3].1, format!("rotation-blocked over queue q in database {}", t.database.name()));
}

/// A table that is parked, which is what the job's `on_event` is told of.
#[track_caller]
fn parked(on_event: &str) -> Replication {
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    r = r.with_table("u", "id int primary key");
    r.londiste.configure("on_event", on_event);
    let r = r.up();
    r.subscriber.sql("alter table t drop column v");
    r.provider.sql("insert into t values (2, 'x')");
    r
}

#[test]
fn command_that_hangs_holds_up_nothing_and_ends_with_the_program() {
    let scratch = Scratch::new();
    let file = scratch.path().join("started");
    let mut r = parked(&format!("sleep 1000 & echo $! >> {}; wait", file.display()));
    let started = wait_until("the command has begun", || match fs::read_to_string(&file) {
        Ok(text) if text.ends_with('\n') => Ok(text),
        other => Err(format!("{other:?}")),
    });
    let process: i32 = started.trim().parse().unwrap();
    r.provider.sql("insert into u values (1)");
    r.replay_until_in_sync();
    // A command that runs is not ended by a reload, and not begun again.
    r.londiste.configure("lag_warn", "3");
    r.londiste.reload();
    r.provider.sql("insert into u values (2)");
    r.replay_until_in_sync();
    assert!(is_alive(process));
    r.londiste.stop();
    wait_until("what the command has started is gone", || if is_alive(process) { Err("it runs") } else { Ok(()) });
    assert_eq!(fs::read_to_string(&file).unwrap(), started);
}

#[test]
fn command_has_no_file_of_the_program_and_no_signal_of_it() {
    let scratch = Scratch::new();
    let file = scratch.path().join("told");
    let _r = parked(&format!("ls -l /proc/self/fd > {0}.open; ps -o pid=,pgid= -p $$ > {0}", file.display()));
    let groups = wait_until("the command has run", || match fs::read_to_string(&file) {
        Ok(text) if text.ends_with('\n') => Ok(text),
        other => Err(format!("{other:?}")),
    });
    let numbers: Vec<&str> = groups.split_whitespace().collect();
    assert_eq!(numbers[0], numbers[1], "the command has no process group of its own");
    let open = fs::read_to_string(format!("{}.open", file.display())).unwrap();
    let file =
        |number: &str| open.lines().find_map(|line| line.split_once(&format!(" {number} -> ")).map(|(_, file)| file));
    assert!(file("0").is_some_and(|file| file.starts_with("pipe:")) && file("2") == Some("/dev/null"), "{open}");
    // What the shell that runs the tests has open may reach the command too.
    assert!(!["socket:", "anon_inode:", "db1-londiste."].iter().any(|file| open.contains(file)), "{open}");
}

#[test]
fn each_way_to_fail_is_one_line_of_the_log() {
    let mut r = parked("/nonexistent/command --now");
    let line = |why: &str| format!(" WARNING on_event: the command failed for table-parked public.t: {why}\n");
    r.londiste.wait_for_log(&line("exit status: 127: the shell did not find a command"));
    let ways = [
        ("/etc/passwd", "exit status: 126: the shell may not run a command"),
        ("kill -9 $$", "signal: 9 (SIGKILL)"),
        ("exec 0<&-; yes | head -c 10000000; exit 4", "exit status: 4"),
    ];
    for (command, why) in ways {
        r.londiste.configure("on_event", command);
        r.londiste.reload();
        let ((), logged) = r.londiste.logged_during(|| {
            let start = r.londiste.log().len();
            // The condition is over, or begins again.
            let has_column = r
                .subscriber
                .value("select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'v'")
                == "1";
            if has_column {
                r.subscriber.sql("alter table t drop column v");
                r.provider.sql("insert into t values ((random() * 1e9)::int, 'x')");
            } else {
                r.subscriber.sql("alter table t add column v text");
            }
            r.londiste.wait_for_log_after(start, &line(why));
        });
        assert_eq!(logged.matches("on_event").count(), 1, "{logged}");
    }
    r.provider.sql("insert into u values (1)");
    r.replay_until_in_sync();
}
