//! Pidfile and log file in places that take no file, for both programs, in the foreground and with `-d`: one line names the file, and
//! no process stays.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use crate::support::{Job, Scratch, mask_log_lines, wait_until};

const NOWHERE: &str = "host=/nowhere dbname=none user=u";

fn jobs(scratch: &Scratch) -> [(Job, &'static str); 2] {
    let ticker = Job::ticker(scratch.path(), "t", NOWHERE);
    let londiste = Job::londiste(scratch.path(), "l", [NOWHERE, NOWHERE], "q");
    [(ticker, "ticker"), (londiste, "replay")]
}

/// Paths where no file can be, each with a part of the message.
fn obstacles(dir: &Path) -> Vec<(PathBuf, &'static str)> {
    let path = |name: &str| dir.join(name);
    fs::create_dir(path("directory")).unwrap();
    fs::write(path("plain"), "").unwrap();
    mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    symlink(path("fifo"), path("link-to-fifo")).unwrap();
    symlink(path("directory"), path("link-to-directory")).unwrap();
    symlink(path("missing/file"), path("link-to-nowhere")).unwrap();
    symlink(path("loop"), path("loop")).unwrap();
    // The socket's file stays when the listener goes.
    UnixListener::bind(path("socket")).unwrap();
    let mut obstacles = vec![
        (path("directory"), "Is a directory (os error 21)"),
        (path("plain/below"), "Not a directory (os error 20)"),
        (path("fifo"), "plain file"),
        (path("link-to-fifo"), "plain file"),
        (path("link-to-directory"), "Is a directory (os error 21)"),
        (path("link-to-nowhere"), "No such file or directory (os error 2)"),
        (path("loop"), "(os error 40)"),
        (path("socket"), "plain file"),
        (path(&"x".repeat(300)), "File name too long (os error 36)"),
    ];
    // To root every directory is open.
    if !geteuid().is_root() {
        fs::create_dir(path("locked")).unwrap();
        fs::set_permissions(path("locked"), fs::Permissions::from_mode(0o555)).unwrap();
        obstacles.push((path("locked/file"), "Permission denied (os error 13)"));
    }
    obstacles
}

#[track_caller]
fn assert_refused(job: &Job, words: &[&str], action: &str, path: &Path, reason: &str) {
    let output = job.program(words).stdout("").status(1).run();
    let expected = format!("rlondiste: could not {action} \"{}\": ", path.display());
    assert!(output.stderr.starts_with(&expected), "{words:?}: {}", output.stderr);
    assert!(output.stderr.contains(reason), "{words:?}: {}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{words:?}: {}", output.stderr);
}

#[test]
fn places_that_take_no_file_are_named_in_one_line() {
    let scratch = Scratch::new();
    let obstacles = obstacles(scratch.path());
    for (key, action) in [("pidfile", "write pidfile"), ("logfile", "open log file")] {
        for (mut job, command) in jobs(&scratch) {
            for (path, reason) in &obstacles {
                job.configure(key, path.to_str().unwrap());
                for words in [&[command][..], &[command, "-d"]] {
                    assert_refused(&job, words, action, path, reason);
                }
                assert!(key == "pidfile" || !job.pidfile().exists(), "{}", path.display());
            }
        }
    }
    // What controls a process reads the file only.
    for (mut job, _) in jobs(&scratch) {
        for (path, reason) in &obstacles {
            job.configure("pidfile", path.to_str().unwrap());
            for option in ["-s", "-k", "-r"] {
                let output = job.program([option]).stdout("").output();
                let missing = "WARNING No pidfile, process not running\n";
                let is_missing = output.status == 0 && mask_log_lines(&output.stderr) == format!("DATE PID {missing}");
                let is_named = output.status == 1 && output.stderr.contains(path.to_str().unwrap());
                assert!(is_missing || is_named, "{option} {}: {} {}", path.display(), output.status, output.stderr);
                assert_eq!(output.stderr.lines().count(), 1, "{option} {reason}: {}", output.stderr);
            }
        }
    }
}

/// A small file system of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user cannot mount one.
    fn mount(scratch: &Scratch) -> Option<SmallDisk> {
        let path = scratch.path().join("disk");
        fs::create_dir(&path).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k,mode=0755", "tmpfs"]).arg(&path).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk(path));
        }
        eprintln!("skipped: this user cannot mount a small file system");
        None
    }

    /// Takes the room that is left.
    fn fill(&self) {
        let mut filler = File::options().append(true).create(true).open(self.0.join("filler")).unwrap();
        while filler.write_all(&[0; 512]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn pidfile_on_a_full_disk_is_named_and_nothing_runs() {
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::mount(&scratch) else { return };
    disk.fill();
    let path = disk.0.join("x.pid");
    for (mut job, command) in jobs(&scratch) {
        job.configure("pidfile", path.to_str().unwrap());
        for words in [&[command][..], &[command, "-d"]] {
            assert_refused(&job, words, "write pidfile", &path, "No space left on device (os error 28)");
            assert!(!path.exists(), "an empty pidfile is left");
        }
        disk.empty();
        job.program([command, "-d"]).stdout("").stderr("").run();
        job.program(["-k"]).stdout("").stderr("").run();
        wait_until("the job has ended", || if path.exists() { Err("its pidfile is there") } else { Ok(()) });
        disk.fill();
    }
}

/// Whether each line begins as the log begins its lines.
fn is_well_formed(log: &str) -> bool {
    mask_log_lines(log).lines().all(|line| line.starts_with("DATE PID ") || line.starts_with("HINT: "))
}

#[test]
fn log_on_a_full_disk_is_told_once_and_its_gap_later() {
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::mount(&scratch) else { return };
    let path = disk.0.join("x.log");
    for rotation in ["size", "daily"] {
        let job = Job::ticker(scratch.path(), "t", NOWHERE)
            .set("logfile", path.to_str().unwrap())
            .set("log_rotation", rotation);
        job.program(["install"]).status(1).run();
        let written = fs::canonicalize(&path).unwrap();
        // So that a line has room for its beginning only: files take whole pages.
        let line = fs::read_to_string(&written).unwrap();
        let mut log = File::options().append(true).open(&written).unwrap();
        while fs::metadata(&written).unwrap().len() + (line.len() as u64) <= 4096 {
            log.write_all(line.as_bytes()).unwrap();
        }
        let before = fs::read_to_string(&written).unwrap();
        disk.fill();
        let output = job.program(["install"]).status(1).run();
        let told = format!(
            "DATE PID ERROR could not write to log file \"{}\": No space left on device (os error 28); it lacks all messages until it \
             takes one again\n",
            path.display()
        );
        assert_eq!(mask_log_lines(&output.stderr).matches(&told).count(), 1, "{rotation}: {}", output.stderr);
        assert_eq!(fs::read_to_string(&written).unwrap(), before, "{rotation}: a part of a line was written");
        // A job goes on, and tells of the gap, also after a reload.
        let mut job = job;
        let stderr = Scratch::new();
        let mut child = job.program(["ticker"]).spawn(&stderr);
        wait_until("a message is lost", || {
            let text = fs::read_to_string(stderr.path().join("stderr")).unwrap();
            if mask_log_lines(&text).contains(&told) { Ok(()) } else { Err(text) }
        });
        job.configure("loop_delay", "soon");
        job.reload();
        wait_until("another message is lost", || {
            let text = fs::read_to_string(stderr.path().join("stderr")).unwrap();
            if text.contains("\"soon\"") { Ok(()) } else { Err(text) }
        });
        disk.empty();
        job.configure("loop_delay", "later");
        job.reload();
        wait_until("the log is written again", || {
            let log = fs::read_to_string(&written).unwrap();
            if log.contains("\"later\"") { Ok(()) } else { Err(log) }
        });
        job.program(["-k"]).stdout("").run();
        child.wait().unwrap();
        let log = fs::read_to_string(&written).unwrap();
        assert!(is_well_formed(&log), "{rotation}: {log}");
        let gap = log.lines().find(|line| line.contains(" messages are missing here")).unwrap();
        assert!(gap.contains(" WARNING "), "{gap}");
        assert!(gap.ends_with("which could not be written: No space left on device (os error 28)"), "{gap}");
        fs::remove_file(written).unwrap();
        let _ = fs::remove_file(&path);
    }
}

#[test]
fn log_that_takes_no_line_does_not_end_a_command() {
    let scratch = Scratch::new();
    for (job, command) in jobs(&scratch) {
        let job = job.set("logfile", "/dev/full");
        job.program([command, "-d"]).stdout("").stderr("").run();
        assert!(job.is_running());
        job.kill();
        let command = if command == "ticker" { vec!["install"] } else { vec!["compare"] };
        let output = job.program(command).stdout("").status(1).run();
        let told = "could not write to log file \"/dev/full\": No space left on device";
        assert_eq!(output.stderr.matches(told).count(), 1, "{}", output.stderr);
    }
}
