//! What is wrong is said in one line that names what, where and what to do; nothing is changed.

use crate::support::{Cluster, Job, Output, Program, Replication, Scratch};

const CHECK_CONNECTION: &str =
    "HINT: Check that the server runs and that the connection string in the ini file is right.";

/// What a polling loop must not take for "done".
const UNKNOWN_TABLES: &str = "\
Table                                           State
-                                             unknown
";

/// The program fails with this message on standard error and nothing else.
#[track_caller]
fn assert_fails(program: Program, message: &str) {
    program.stdout("").stderr(format!("rlondiste: {message}\n")).status(1).run();
}

/// The program fails with one line (and perhaps a DETAIL and a HINT line) that has all of `words`.
#[track_caller]
fn assert_fails_about(program: Program, words: &[&str]) {
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
    let message = "Config file not found: nofile.ini\nHINT: The first word after the options is the ini file; \
                   \"rlondiste --ini londiste\" and \"rlondiste --ini pgqadm\" print samples to start from.";
    for arguments in [["nofile.ini", "install"], ["nofile.ini", "replay"], ["-s", "nofile.ini"]] {
        assert_fails(Program::new(arguments), message);
    }
    assert_fails_about(Program::new(["nofile.ini", "ticker", "-d"]).called("pgqadm.py"), &["not found: nofile.ini"]);
    assert_fails_about(Program::new(["nofile.ini", "replay", "-d"]).called("londiste.py"), &["not found: nofile.ini"]);
}

#[test]
fn missing_section_is_named() {
    let scratch = Scratch::new();
    scratch.write("x.ini", "[other]\na = b\n");
    let message = "x.ini: Wrong config file, no section 'pgqadm' or 'londiste'; put the keys of the ticker below a line \
                   [pgqadm], those of replication below a line [londiste]";
    assert_fails(Program::new(["x.ini", "install"]).dir(scratch.path()), message);
    for (link, section, command) in [("pgqadm.py", "pgqadm", "install"), ("londiste.py", "londiste", "replay")] {
        let program = Program::new(["x.ini", command]).called(link).dir(scratch.path());
        assert_fails_about(program, &["x.ini", &format!("no section '{section}'")]);
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
        let place = format!("{}: section [londiste], key \"{key}\": not set; add a line", job.ini().display());
        assert_fails_about(job.program(command.split(' ')), &[&place]);
    }
    let mut job = Job::ticker(scratch.path(), "t", "dbname=none");
    job.unset("db");
    let message = format!(
        "{}: section [pgqadm], key \"db\": not set; add a line such as \"db = dbname=shop host=127.0.0.1\"",
        job.ini().display()
    );
    assert_fails(job.program(["ticker", "-d"]), &message);
    assert!(!job.pidfile().exists());
}

#[test]
fn bad_value_is_named_with_its_line() {
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "t", "dbname=none").set("loop_delay", "soon");
    assert_fails_about(job.program(["install"]), &["t.ini:", "loop_delay", "soon"]);
}

#[test]
fn unreachable_server_is_named_by_role_and_place() {
    let down = Cluster::builder().name("down").tcp().init();
    let r = Replication::new();
    let scratch = Scratch::new();
    let place = format!("(host=127.0.0.1 port={} dbname=db1 user=postgres): connection refused", down.port());
    let message = |role: &str| format!("could not connect to {role} {place}\n{CHECK_CONNECTION}");
    let ticker = Job::ticker(scratch.path(), "t", &down.conninfo("db1"));
    // As the original has it, the commands of pgqadm are turns of the work loop.
    let crashed = format!("DATE PID CRITICAL Job t crashed: {}\n", message("provider"));
    ticker.program(["install"]).stdout("").stderr(crashed).status(1).run();
    let provider = Job::londiste(scratch.path(), "p", [&down.conninfo("db1"), r.subscriber.conninfo()], "q");
    assert_fails(provider.program(["provider", "install"]), &message("provider"));
    let subscriber = Job::londiste(scratch.path(), "s", [r.provider.conninfo(), &down.conninfo("db1")], "q");
    assert_fails(subscriber.program(["subscriber", "install"]), &message("subscriber"));
    let stderr = format!("rlondiste: {}\n", message("subscriber"));
    subscriber.program(["subscriber", "tables"]).stdout(UNKNOWN_TABLES).stderr(stderr).status(1).run();
}

#[test]
fn missing_database_is_named() {
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "t", &Cluster::provider().conninfo("no_such_db"));
    assert_fails_about(job.program(["install"]), &["provider", "no_such_db", "3D000"]);
}

#[test]
fn missing_pgq_schema_is_named_with_the_command_that_helps() {
    let r = Replication::new().with_table("t", "id int primary key");
    let before = objects(&r);
    assert_fails_about(r.ticker.program(["status"]), &["provider", "pgq", "install"]);
    for command in ["provider add t", "provider tables", "provider add-seq --all"] {
        assert_fails_about(r.londiste.program(command.split(' ')), &["provider", "does not exist", "provider install"]);
    }
    for command in ["subscriber seqs", "subscriber add t", "subscriber add-seq --all"] {
        assert_fails_about(r.londiste.program(command.split(' ')), &["does not exist", "install"]);
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
