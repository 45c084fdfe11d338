//! The log file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::{Job, Program, QUEUE, Replication, Scratch, mask_log_lines, wait_until};

const LEVELS: [&str; 5] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

#[track_caller]
fn assert_well_formed(log: &str) {
    for line in mask_log_lines(log).lines() {
        let level = line.strip_prefix("DATE PID ").and_then(|rest| rest.split(' ').next());
        assert!(level.is_some_and(|level| LEVELS.contains(&level)), "not a log line: {line}");
    }
}

#[test]
fn lines_have_time_pid_and_level() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    r.provider.sql("insert into t values (1)");
    r.assert_in_sync();
    for job in [&r.ticker, &r.londiste] {
        assert_well_formed(&job.log());
        let pid = format!(" {} INFO ", job.pid().unwrap());
        assert!(job.log().contains(&pid), "no line of the daemon {pid}in\n{}", job.log());
    }
}

#[test]
fn messages_of_a_command_go_to_standard_error_and_the_log_file() {
    let r = Replication::new();
    let output = r.londiste.run("provider install");
    assert!(!output.stderr.is_empty());
    assert_eq!(output.stderr, r.londiste.log());
    assert_well_formed(&output.stderr);
}

#[test]
fn quiet_command_says_nothing() {
    let r = Replication::new();
    r.londiste.program(["-q", "provider", "install"]).stdout("").stderr("").run();
    assert_eq!(r.londiste.log(), "");
}

#[test]
fn file_is_rotated_at_its_size_and_no_line_is_lost_or_cut() {
    let r = Replication::new().with_table("t", "id int primary key");
    let mut r = r;
    r.londiste.configure("log_size", "600");
    r.londiste.configure("log_count", "2");
    let r = r.up();
    let path = |n: usize| r.londiste.log_path().with_extension(format!("log.{n}"));
    wait_until("the log is rotated twice", || {
        r.provider.sql("insert into t select coalesce(max(id), 0) + 1 from t");
        if path(2).exists() { Ok(()) } else { Err(format!("{} bytes in the log", r.londiste.log().len())) }
    });
    r.londiste.stop();
    assert!(!path(3).exists());
    for file in [r.londiste.log_path(), path(1), path(2)] {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.len() <= 600 && text.ends_with('\n'), "{}:\n{text}", file.display());
        assert_well_formed(&text);
    }
}

#[test]
fn processes_that_rotate_one_file_at_once_lose_no_line() {
    const PROCESSES: usize = 4;
    const RUNS: usize = 4;
    const TABLES: usize = 40;
    let tables: Vec<String> = (0..TABLES).map(|i| format!("create table t{i} (id int primary key)")).collect();
    let r = Replication::new().with_schema(&tables.join("; "));
    r.install();
    r.londiste.run("provider add --all");
    let dir = Scratch::new();
    let databases = [r.provider.conninfo(), r.subscriber.conninfo()];
    let job = Job::londiste(dir.path(), "shared", databases, QUEUE).set("log_size", "600").set("log_count", "1000");
    // Each process says on standard error what it writes into the file, with its time and process id.
    let mut said: Vec<String> = std::thread::scope(|scope| {
        let processes: Vec<_> = (0..PROCESSES)
            .map(|_| scope.spawn(|| (0..RUNS).map(|_| job.run("subscriber check").stderr).collect::<String>()))
            .collect();
        processes.into_iter().map(|process| process.join().unwrap()).collect()
    });
    said = said.iter().flat_map(|text| text.lines().map(str::to_owned)).collect();
    let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let logs: Vec<String> = files
        .iter()
        .filter(|path| path.to_string_lossy().contains("shared.log"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for log in &logs {
        assert!(log.len() <= 600 && log.ends_with('\n'), "{log}");
    }
    let mut written: Vec<String> = logs.iter().flat_map(|log| log.lines().map(str::to_owned)).collect();
    said.sort();
    written.sort();
    assert_eq!(said.len(), PROCESSES * RUNS * TABLES);
    assert!(written == said, "{} lines of {} are in the {} files", written.len(), said.len(), logs.len());
}

#[test]
fn reload_reopens_a_log_file_that_was_moved_away() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    // A table is ok before the line of its batch is written.
    r.londiste.wait_for_log("{count: ");
    let moved = r.londiste.log_path().with_extension("old");
    fs::rename(r.londiste.log_path(), &moved).unwrap();
    r.londiste.reload();
    r.provider.sql("insert into t values (1)");
    r.londiste.wait_for_log("{count: ");
    assert!(fs::read_to_string(&moved).unwrap().contains("{count: "));
}

#[test]
fn log_file_that_cannot_be_opened_is_named() {
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "db1-ticker", "dbname=none").set("logfile", "/nowhere/x.log");
    let output = job.program(["install"]).stdout("").status(1).run();
    assert!(output.stderr.contains("\"/nowhere/x.log\""), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    Program::new(["-V"]).stderr("").run();
}

/// Log lines may hold keys of rows.
#[test]
fn new_log_is_not_for_everybody() {
    let scratch = Scratch::new();
    for rotation in ["size", "daily", "hourly"] {
        let path = scratch.path().join(format!("{rotation}.log"));
        let job = Job::ticker(scratch.path(), "db1-ticker", "host=/nowhere dbname=none")
            .set("logfile", path.to_str().unwrap())
            .set("log_rotation", rotation)
            .set("log_size", "300");
        for _ in 0..3 {
            job.program(["install"]).status(1).run();
        }
        assert!(fs::read_to_string(&path).unwrap().contains("could not connect"), "{rotation}");
    }
    let mut files = 0;
    for entry in fs::read_dir(scratch.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().contains(".log") {
            files += 1;
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(format!("{mode:o}"), "640", "{}", path.display());
        }
    }
    assert!(files >= 6, "{files}");
}

/// The owner may have given rights, or taken them away.
#[test]
fn rights_of_a_log_that_is_there_stay() {
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "db1-ticker", "host=/nowhere dbname=none");
    for mode in [0o644, 0o600] {
        fs::write(job.log_path(), "").unwrap();
        fs::set_permissions(job.log_path(), fs::Permissions::from_mode(mode)).unwrap();
        job.program(["install"]).status(1).run();
        assert_eq!(fs::metadata(job.log_path()).unwrap().permissions().mode() & 0o777, mode);
    }
}

/// Whoever may write to the directory could put a link there that leads to a file of the job's user.
#[test]
fn link_in_a_directory_of_everybody_is_not_followed() {
    let scratch = Scratch::new();
    let shared = scratch.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let precious = scratch.write("precious", "precious\n");
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    for (rotation, name) in [("size", "x.log".to_owned()), ("daily", format!("x.log.{day}"))] {
        let link = shared.join(&name);
        symlink(&precious, &link).unwrap();
        let job = Job::ticker(scratch.path(), "db1-ticker", "host=/nowhere dbname=none")
            .set("logfile", shared.join("x.log").to_str().unwrap())
            .set("log_rotation", rotation);
        let output = job.program(["install"]).stdout("").status(1).run();
        let text = format!(
            "rlondiste: could not open log file \"{}\": it is a symbolic link in a directory that everybody may write to\n",
            link.display()
        );
        assert_eq!(output.stderr, text, "{rotation}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious\n");
        fs::remove_file(&link).unwrap();
        // The name of the newest file is a link of the program's own.
        job.program(["install"]).status(1).run();
        job.program(["install"]).status(1).run();
        let log = fs::read_to_string(shared.join("x.log")).unwrap();
        assert_eq!(log.matches("could not connect").count(), 2, "{rotation}: {log}");
        fs::remove_file(shared.join("x.log")).unwrap();
    }
    // In a directory of one's own a link is as good as a file.
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    symlink(&precious, shared.join("x.log")).unwrap();
    let job = Job::ticker(scratch.path(), "db1-ticker", "host=/nowhere dbname=none")
        .set("logfile", shared.join("x.log").to_str().unwrap());
    job.program(["install"]).status(1).run();
    assert!(fs::read_to_string(&precious).unwrap().starts_with("precious\n2"));
}

/// Opening one for writing waits for a reader.
#[test]
fn fifo_as_log_file_is_refused() {
    let scratch = Scratch::new();
    let job = Job::ticker(scratch.path(), "db1-ticker", "host=/nowhere dbname=none");
    nix::unistd::mkfifo(&job.log_path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let text = format!(
        "rlondiste: could not open log file \"{}\": it is neither a plain file nor a device\n",
        job.log_path().file_name().unwrap().display()
    );
    job.program(["install"]).stdout("").stderr(text.clone()).status(1).run();
    // Nor is one whose reader is there: it may stop reading at any time.
    let _reader = fs::File::options().read(true).write(true).open(job.log_path()).unwrap();
    job.program(["install"]).stdout("").stderr(text).status(1).run();
}

#[test]
fn verbose_wins_over_quiet() {
    let r = Replication::new();
    r.ticker.run("install");
    let info = "DATE PID INFO Creating queue: q\n";
    r.ticker.program(["create", "q"]).stdout("").stderr(info).run();
    r.ticker.program(["create", "q", "-q"]).stdout("").stderr("").run();
    for option in ["-v", "-qv", "-vq"] {
        let output = r.ticker.program(["create", "q", option]).stdout("").run();
        let masked = mask_log_lines(&output.stderr);
        assert!(masked.contains(info), "{option}: {masked}");
    }
}
