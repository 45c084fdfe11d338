//! Passwords go from where they are written to the server that asks for them, and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http::Client;
use crate::support::{Cluster, Database, Job, Program, Replication, Scratch, wait_until};

/// What every password here begins with.
const CANARY: &str = "canary-";

/// A server that asks everybody but its owner for a password: that of user `u_X` is `canary-X`.
fn server() -> Cluster {
    let cluster = Cluster::builder()
        .name("secrets")
        .tcp()
        // PostgreSQL before 14 stores md5 sums of passwords otherwise, which SCRAM has no use for.
        .conf("password_encryption = 'scram-sha-256'")
        .conf("log_statement = all")
        .hba("host all postgres all trust")
        .hba("host all all all scram-sha-256")
        .start();
    for user in ["uri", "ini", "env", "file"] {
        cluster.sql(&format!("create role u_{user} superuser login password '{CANARY}{user}'"));
    }
    cluster
}

/// The place of a database for a user, without a password.
fn place(conninfo: &str, user: &str) -> String {
    conninfo.replace("user=postgres", &format!("user=u_{user}"))
}

/// The files below a directory that the program wrote.
fn written(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            written(&path, files);
        } else if path.extension().is_none_or(|extension| extension != "ini") && !path.ends_with("passfile") {
            files.push(path);
        }
    }
}

/// All rows of all tables of a database as text, the catalog with its functions and comments among them.
fn stored(database: &Database) -> String {
    let rows_of_all = database.value(
        "select string_agg(format('select t::text from only %s t', c.oid::regclass), ' union all ')
         from pg_class c where c.relkind = 'r'",
    );
    database.column(&rows_of_all).join("\n")
}

#[track_caller]
fn assert_silent(what: &str, text: &str) {
    assert!(!text.contains(CANARY), "{what} has a password:\n{text}");
}

/// Runs a command with most to say, and looks at all that it says.
#[track_caller]
fn run(job: &Job, command: &str, password: Option<&str>) -> i32 {
    let mut program = job.program(command.split(' ').chain(["-v"]));
    if let Some(password) = password {
        program = program.env("PGPASSWORD", password);
    }
    let output = program.output();
    assert_silent(command, &output.stdout);
    assert_silent(command, &output.stderr);
    output.status
}

/// The daemons' arguments, as `ps` shows them to everybody.
fn assert_arguments_are_plain(job: &Job) {
    let arguments = fs::read(format!("/proc/{}/cmdline", job.pid().unwrap())).unwrap();
    assert_silent("ps", &String::from_utf8_lossy(&arguments));
}

/// The pages of a daemon, which anybody may read who reaches its port.
#[track_caller]
fn assert_pages_are_plain(http: &Client, status: u16) {
    for path in ["/metrics", "/status.json", "/ready?lag=1h"] {
        let answer = wait_until(&format!("{path} says {status}"), || {
            let answer = http.get(path);
            if answer.status == status { Ok(answer) } else { Err(format!("{answer:?}")) }
        });
        assert_silent(path, &format!("{answer:?}"));
    }
    for path in ["/", "/health"] {
        assert_silent(path, &format!("{:?}", http.get(path)));
    }
}

/// Whatever is wrong with a connection string or a line of the file, what is said of it has no password.
fn assert_mistakes_are_silent(r: &Replication, ticker: &mut Job, londiste: &mut Job) {
    let env = place(r.provider.conninfo(), "env");
    londiste.configure("loop_delay", "0.1");
    londiste.configure("provider_db", &env);
    assert_eq!(run(londiste, "provider tables", Some("canary-env")), 0);
    let uri = |rest: &str| format!("postgresql://u_uri:{CANARY}x{rest}");
    for (conninfo, status) in [
        (format!("{env} password={CANARY}wrong"), 1),
        (format!("{env} password={CANARY}x port=99999"), 1),
        (format!("{env} password='{CANARY}open"), 1),
        (format!("{env} password={CANARY}x {CANARY}stray"), 1),
        (format!("{env} password={CANARY}x {CANARY}stray word"), 1),
        (format!("{env} password={CANARY}x sslmode=sometimes"), 1),
        (format!("{env} password={CANARY}x dbname=no_such_db"), 1),
        (format!("{env} password={CANARY}x host=/nowhere"), 1),
        (format!("{env} password = {CANARY}x = y"), 1),
        (format!("{env} password={CANARY}x service=no_such"), 1),
        (format!("{env} password={CANARY}x passfile=/nowhere"), 1),
        (uri("%zz@127.0.0.1/d"), 1),
        (uri("@127.0.0.1:x/d"), 1),
        (uri("@[::1/d"), 1),
        (uri("/@127.0.0.1/d"), 1),
        (uri("/d"), 1),
        (format!("host=127.0.0.1;port=1;dbname=d;password={CANARY}x"), 1),
        (format!("host=127.0.0.1 port=1 dbname=d;password={CANARY}x"), 1),
        (format!("{env} sslmode=disable,password={CANARY}x"), 1),
        (format!("{env} password={CANARY}x {CANARY}stray=word"), 1),
        (uri("#@127.0.0.1/d"), 1),
        (uri("@127.0.0.1:1/d?sslmode"), 1),
        (uri("@127.0.0.1:1/d?password=canary-y&x=1"), 1),
    ] {
        let conninfo = conninfo.replace('%', "%%");
        londiste.configure("provider_db", &conninfo);
        assert_eq!(run(londiste, "provider tables", None), status, "{conninfo}");
        ticker.configure("db", &conninfo);
        assert_eq!(run(ticker, "status", None), status, "{conninfo}");
    }
    for line in [
        format!("provider_db = %({CANARY}x)s"),
        format!("provider_db = dbname=d password={CANARY}%x"),
        format!("provider_db\npassword {CANARY}x"),
        format!("provider_db = dbname=d\npassword={CANARY}x\nlock_timeout = {}x", "never-"),
        format!("{CANARY}x\nprovider_db = d"),
    ] {
        let path =
            r.scratch().write("broken.ini", &format!("[londiste]\nsubscriber_db = d\npgq_queue_name = q\n{line}\n"));
        let output = Program::new([path.to_str().unwrap(), "provider", "tables", "-v"]).output();
        assert_ne!(output.status, 0, "{line}");
        // A reference is shown by its name.
        let shown = output.stderr.replace(&format!("%({CANARY}x)s"), "").replace(&format!("no key \"{CANARY}x\""), "");
        assert_silent(&line, &shown);
    }
}

#[test]
fn passwords_from_everywhere_reach_the_server_and_no_text() {
    let cluster = server();
    let r = Replication::between(&cluster, &cluster).with_table("t", "id int primary key, v text");
    let dir = r.scratch().path().to_owned();
    let passfile = r.scratch().write("passfile", "*:*:*:u_file:canary-file\n");
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
    let provider = r.provider.name();
    let uri = format!("postgresql://u_uri:canary%2Duri@127.0.0.1:{}/{provider}", cluster.port());
    let mut ticker = Job::ticker(&dir, "db1-ticker", &uri.replace('%', "%%"));
    let ini = format!("{} password={CANARY}ini sslpassword={CANARY}ssl", place(r.provider.conninfo(), "ini"));
    let file = format!("{} passfile={}", place(r.subscriber.conninfo(), "file"), passfile.display());
    let mut londiste = Job::londiste(&dir, "db1-londiste", [&ini, &file], "q");
    let pages = [Client::new(), Client::new()];
    ticker.configure("http_listen", &pages[0].port_text());
    londiste.configure("http_listen", &pages[1].port_text());
    for (job, command) in [
        (&ticker, "install"),
        (&ticker, "create other"),
        (&londiste, "provider install"),
        (&londiste, "subscriber install"),
        (&londiste, "provider add t"),
    ] {
        assert_eq!(run(job, command, None), 0, "{command}");
    }
    r.provider.sql("update pgq.queue set queue_ticker_max_lag = '200 ms', queue_ticker_idle_period = '200 ms'");
    for (job, command) in [(&ticker, "ticker -d"), (&londiste, "replay -d"), (&londiste, "subscriber add t")] {
        assert_eq!(run(job, command, None), 0, "{command}");
    }
    r.wait_until_ok();
    r.provider.sql("insert into t values (1, 'one')");
    r.assert_in_sync();
    for job in [&ticker, &londiste] {
        assert_arguments_are_plain(job);
    }
    for http in &pages {
        assert_pages_are_plain(http, 200);
    }
    for (job, command) in [
        (&ticker, "status --json"),
        (&ticker, "config --json"),
        (&ticker, "config q"),
        (&ticker, "events q --json"),
        (&londiste, "provider tables --json"),
        (&londiste, "subscriber status --json"),
        (&londiste, "subscriber status"),
        (&londiste, "subscriber tables --json --progress"),
        (&londiste, "subscriber check"),
        (&londiste, "subscriber fkeys --json"),
        (&londiste, "compare --checksum --json"),
        (&londiste, "subscriber missing"),
    ] {
        assert_eq!(run(job, command, None), 0, "{command}");
    }
    // A reload reads all of it again; a database that is gone is named.
    londiste.configure("loop_delay", "soon");
    londiste.log_contains("soon", || assert_eq!(run(&londiste, "-r", None), 0));
    r.subscriber.sql(
        "alter role u_file nologin; select pg_terminate_backend(pid) from pg_stat_activity where usename = 'u_file'",
    );
    londiste.wait_for_log("(28000)");
    assert_pages_are_plain(&pages[1], 503);

    assert_mistakes_are_silent(&r, &mut ticker, &mut londiste);
    for job in [&ticker, &londiste] {
        job.kill();
    }
    let mut files = Vec::new();
    written(&dir, &mut files);
    assert!(files.iter().any(|file| file.ends_with("db1-londiste.log")), "{files:?}");
    for file in files {
        assert_silent(&file.display().to_string(), &String::from_utf8_lossy(&fs::read(&file).unwrap()));
    }
    // Nor is one stored in a database or in the server's log.
    for database in [&r.provider, &r.subscriber] {
        assert_silent(database.name(), &stored(database));
    }
    let log: Vec<String> =
        cluster.log().lines().filter(|line| !line.contains("create role u_")).map(str::to_owned).collect();
    assert!(log.iter().any(|line| line.contains("statement: ")), "no statements in the log");
    assert_silent("the server's log", &log.join("\n"));
}

/// Whether this machine writes a core file into the current directory of a process that dies.
fn writes_core_files(dir: &Path) -> bool {
    fs::create_dir(dir).unwrap();
    let shell = Command::new("sh").args(["-c", "ulimit -c unlimited && kill -ABRT $$"]).current_dir(dir).output();
    shell.is_ok() && fs::read_dir(dir).unwrap().count() > 0
}

/// A core file holds the memory of the process, with the passwords.
#[test]
fn no_core_file_is_written_whatever_the_limit_of_the_shell() {
    let scratch = Scratch::new();
    if !writes_core_files(&scratch.path().join("probe")) {
        eprintln!("skipped: this machine writes no core files");
        return;
    }
    let jobs = [
        (Job::ticker(scratch.path(), "t", "host=/nowhere dbname=d password=canary-core"), "ticker"),
        (Job::londiste(scratch.path(), "l", ["host=/nowhere dbname=d password=canary-core"; 2], "q"), "replay"),
    ];
    for (job, command) in jobs {
        let script = format!("ulimit -c unlimited && exec \"$0\" \"$1\" {command} -d");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_rlondiste")]).arg(job.ini()).current_dir(scratch.path());
        assert!(shell.status().unwrap().success());
        let pid = job.pid().unwrap();
        kill(Pid::from_raw(pid), Signal::SIGABRT).unwrap();
        wait_until("the job is dead", || if job.is_running() { Err("it runs") } else { Ok(()) });
        let is_core = |name: &str| name.starts_with("core");
        let entries =
            fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let cores: Vec<String> = entries.filter(|name| is_core(name)).collect();
        assert!(cores.is_empty(), "{command}: {cores:?}");
    }
}
