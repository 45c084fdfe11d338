//! What is wrong is said in one line that names what, where and what to do; nothing is changed.

use crate::support::{Cluster, Job, Output, Program, Replication, Scratch};

/// The program fails with one line (and perhaps a DETAIL and a HINT line) that has all of `words`.
#[track_caller]
fn assert_fails(program: Program, words: &[&str]) {
    let Output { stderr, .. } = program.stdout("").status(1).run();
    let lines: Vec<&str> = stderr.lines().collect();
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in:\n{stderr}");
    }
    let is_addition = |line: &&str| line.starts_with("HINT: ") || line.starts_with("DETAIL: ");
    assert!(lines.iter().skip(1).all(is_addition), "more than one line:\n{stderr}");
    assert!(!stderr.contains("db error"), "{stderr}");
}

#[test]
fn missing_ini_file_is_named() {
    for arguments in [["nofile.ini", "install"], ["nofile.ini", "replay"], ["-s", "nofile.ini"]] {
        assert_fails(Program::new(arguments), &["nofile.ini"]);
    }
    assert_fails(Program::new(["nofile.ini", "ticker", "-d"]).called("pgqadm.py"), &["nofile.ini"]);
    assert_fails(Program::new(["nofile.ini", "replay", "-d"]).called("londiste.py"), &["nofile.ini"]);
}

#[test]
fn missing_section_is_named() {
    let scratch = Scratch::new();
    let ini = scratch.write("x.ini", "[other]\na = b\n");
    for (link, section, command) in [("pgqadm.py", "[pgqadm]", "install"), ("londiste.py", "[londiste]", "replay")] {
        let program = Program::new([ini.as_os_str(), command.as_ref()]).called(link);
        assert_fails(program, &[ini.to_str().unwrap(), section]);
    }
}

#[test]
fn missing_key_is_named() {
    let scratch = Scratch::new();
    for (key, command) in
        [("provider_db", "provider tables"), ("subscriber_db", "replay"), ("pgq_queue_name", "replay")]
    {
        let mut job = Job::londiste(scratch.path(), "l", ["dbname=none", "dbname=none"], "q");
        job.unset(key);
        let ini = job.ini();
        assert_fails(job.program(command.split(' ')), &[ini.to_str().unwrap(), "[londiste]", key]);
    }
    let mut job = Job::ticker(scratch.path(), "t", "dbname=none");
    job.unset("db");
    assert_fails(job.program(["ticker", "-d"]), &["t.ini", "[pgqadm]", "db"]);
    assert!(!job.pidfile().exists());
}

#[test]
fn bad_value_is_named_with_its_line() {
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "t", "dbname=none").set("loop_delay", "soon");
    assert_fails(job.program(["install"]), &["t.ini:", "loop_delay", "soon"]);
}

#[test]
fn unreachable_server_is_named_by_role_and_place() {
    let down = Cluster::builder().name("down").tcp().init();
    let r = Replication::new();
    let scratch = Scratch::new();
    let place = format!("host=127.0.0.1 port={}", down.port());
    let ticker = Job::ticker(scratch.path(), "t", &down.conninfo("db1"));
    assert_fails(ticker.program(["install"]), &["provider", &place, "dbname=db1", "refused"]);
    let provider = Job::londiste(scratch.path(), "p", [&down.conninfo("db1"), r.subscriber.conninfo()], "q");
    assert_fails(provider.program(["provider", "install"]), &["provider", &place, "dbname=db1", "refused"]);
    let subscriber = Job::londiste(scratch.path(), "s", [r.provider.conninfo(), &down.conninfo("db1")], "q");
    assert_fails(subscriber.program(["subscriber", "install"]), &["subscriber", &place, "dbname=db1", "refused"]);
    assert_fails(subscriber.program(["subscriber", "tables"]), &["subscriber", &place]);
}

#[test]
fn missing_database_is_named() {
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "t", &Cluster::provider().conninfo("no_such_db"));
    assert_fails(job.program(["install"]), &["provider", "no_such_db", "3D000"]);
}

#[test]
fn missing_pgq_schema_is_named_with_the_command_that_helps() {
    let r = Replication::new().with_table("t", "id int primary key");
    let before = objects(&r);
    assert_fails(r.ticker.program(["status"]), &["provider", "pgq", "install"]);
    for command in ["provider add t", "provider tables", "provider add-seq --all"] {
        assert_fails(r.londiste.program(command.split(' ')), &["provider", "does not exist", "provider install"]);
    }
    for command in ["subscriber tables", "subscriber add t", "subscriber add-seq --all"] {
        assert_fails(r.londiste.program(command.split(' ')), &["does not exist", "install"]);
    }
    assert_eq!(objects(&r), before);
}

#[test]
fn password_is_never_shown() {
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "t", "host=/nowhere dbname=none user=joe password=geheim");
    let output = job.program(["install"]).status(1).run();
    assert!(!output.stderr.contains("geheim") && !job.log().contains("geheim"), "{}", output.stderr);
}

/// Everything in both databases that a command could have left behind.
fn objects(r: &Replication) -> Vec<String> {
    let sql = "select relname::text from pg_class where relnamespace <> all (array['pg_catalog', 'information_schema', 'pg_toast']::regnamespace[])
               union all select tgname::text from pg_trigger union all select nspname::text from pg_namespace order by 1";
    [&r.provider, &r.subscriber].into_iter().flat_map(|database| database.column(sql)).collect()
}
