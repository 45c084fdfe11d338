//! The ini file and this machine: the daemon, its files, their disks.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, Pid, access};

use super::case::{Case, Reach, shell_word};
use super::check::{self, Check};
use super::finding::Findings;
use crate::config::LogRotation;
use crate::error::{Report, Result, Role};
use crate::job::pidfile::{self, Status};
use crate::job::{self, LastError};
use crate::pg::{Conninfo, text};

pub(super) const FILES: &[&Check] =
    &[&check::INI, &check::PIDFILE, &check::LOG_FILE, &check::DISK_SPACE, &check::LAST_ERROR, &check::PASSWORD_FILE];

/// Checks that need no database. `databases` are the connection strings with their sides.
pub(super) fn files(case: &Case<'_>, databases: &[(Role, String)]) -> Findings {
    let mut found = Findings::default();
    let ini = case.path.display();
    for warning in case.warnings {
        found.warning(&check::INI, &ini, warning, format!("edit {ini}"));
    }
    found.rest(&check::INI, &ini, "all keys are known");
    pidfile_can_be_written(case, &mut found);
    log_file_can_be_written(case, &mut found);
    last_error(case, &mut found);
    for (role, conninfo) in databases {
        // What is wrong with the string itself is told by the connection.
        let Ok(conninfo) = Conninfo::parse(*role, conninfo, case.common.client()) else { continue };
        for warning in conninfo.warnings() {
            let path = warning.split('"').nth(1).unwrap_or("~/.pgpass");
            found.warning(&check::PASSWORD_FILE, role, warning, format!("chmod 0600 {}", shell_word(path)));
        }
        found.rest(&check::PASSWORD_FILE, role, "no password file is ignored");
    }
    found.rest_of_all(&check::PASSWORD_FILE, &ini, "no password file is ignored");
    found
}

fn pidfile_can_be_written(case: &Case<'_>, found: &mut Findings) {
    let check = &check::PIDFILE;
    let Some(path) = &case.common.pidfile else {
        found.ok(check, case.path.display(), "no pidfile in the ini file: the daemon runs in the foreground");
        found.ok(&check::DISK_SPACE, "pidfile", "no pidfile in the ini file");
        return;
    };
    let shown = path.display();
    if let Err(error) = pidfile::status(path) {
        let fix = format!("rm {}", shell_word(&shown.to_string()));
        found.error(check, &shown, Report(&error).message(), fix);
    } else if let Some((objection, fix)) = directory_objection(path) {
        found.error(check, &shown, objection, fix);
    } else {
        found.ok(check, &shown, "can be written");
    }
    match free_bytes(path) {
        Some(0) => found.error(
            &check::DISK_SPACE,
            &shown,
            "the disk is full: no pidfile can be written",
            format!("df {}", shell_word(&directory(path).display().to_string())),
        ),
        Some(bytes) => found.ok(&check::DISK_SPACE, &shown, format_args!("{bytes} bytes are free")),
        None => found.ok(&check::DISK_SPACE, &shown, "there is no such directory yet"),
    }
}

fn log_file_can_be_written(case: &Case<'_>, found: &mut Findings) {
    let check = &check::LOG_FILE;
    let Some(path) = &case.common.logfile else {
        found.ok(check, case.path.display(), "no logfile in the ini file: the log goes to standard error");
        return;
    };
    let shown = path.display();
    match directory_objection(path) {
        Some((objection, fix)) => found.error(check, &shown, objection, fix),
        None if path.exists() && access(path, AccessFlags::W_OK).is_err() => {
            let fix = format!("chown $(id -un) {}", shell_word(&shown.to_string()));
            found.error(check, &shown, "this user may not write to the file", fix);
        }
        None => found.ok(check, &shown, "can be written"),
    }
    let Some(free) = free_bytes(path) else { return };
    let most = match case.common.log_rotation {
        LogRotation::Size => case.common.log_size.saturating_mul(u64::from(case.common.log_count) + 1),
        _ => case.common.log_size,
    };
    let there = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let room = most.saturating_sub(there);
    if free < room {
        let fact = format!("{free} bytes are free, and the log may take {room} more");
        let fix = format!("df {}", shell_word(&directory(path).display().to_string()));
        found.warning(&check::DISK_SPACE, &shown, fact, fix);
    } else {
        found.ok(&check::DISK_SPACE, &shown, format_args!("{free} bytes are free"));
    }
}

fn last_error(case: &Case<'_>, found: &mut Findings) {
    let log = case.common.logfile.as_deref();
    match log.and_then(job::last_error) {
        Some(LastError { time, message, .. }) => {
            found.ok(&check::LAST_ERROR, case.path.display(), format!("{time} {message}"));
        }
        None => found.ok(&check::LAST_ERROR, case.path.display(), "the end of the log has no error"),
    }
}

/// The directory that a file is, or would be, in.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Why no file can be made in the directory of `path`, and what helps.
fn directory_objection(path: &Path) -> Option<(String, String)> {
    let directory = directory(path);
    let word = shell_word(&directory.display().to_string());
    if !directory.is_dir() {
        return Some((format!("directory {} does not exist", directory.display()), format!("mkdir -p {word}")));
    }
    let may = access(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    (!may).then(|| {
        (format!("this user may not write to directory {}", directory.display()), format!("chown $(id -un) {word}"))
    })
}

/// What users may still write to the disk of `path`; 0 where no file can be made. `None` where there is no such directory.
fn free_bytes(path: &Path) -> Option<u64> {
    let disk = statvfs(directory(path)).ok()?;
    // A file system that does not count its files says 0 of 0.
    let has_no_files = disk.files() > 0 && disk.files_available() == 0;
    Some(if has_no_files { 0 } else { disk.blocks_available().saturating_mul(disk.fragment_size()) })
}

/// How long a session of the job stays at least that is not of a command.
const STAYS: Duration = Duration::from_millis(500);

pub(super) const PROCESS: &[&Check] = &[&check::PROCESS];

/// Whether the daemon runs: by its pidfile, else by sessions that have its name, of any machine. `side` is the database that the
/// daemon works in.
pub(super) async fn process(case: &Case<'_>, side: &Reach) -> Result<Findings> {
    const SESSIONS: &str = "select a.pid, coalesce(pg_catalog.host(a.client_addr), 'this machine of the server')
       from pg_catalog.pg_stat_activity a
      where a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid()
        and (a.application_name = $1 or a.application_name = $1 || ' ' || pg_catalog.current_database())
      order by a.backend_start limit 1";
    let mut found = Findings::default();
    let check = &check::PROCESS;
    let job = &case.common.job_name;
    let status = case.common.pidfile.as_deref().map(pidfile::status);
    let start = case.command(format_args!("{} -d", case.daemon));
    let status = match status {
        Some(Ok(Status::Running(pid))) if pidfile::is_stopped(pid) => {
            let fact = format!("process {pid} of {} is stopped by a signal, and does nothing", case.daemon);
            found.error(check, job, fact, format!("kill -CONT {pid}"));
            return Ok(found);
        }
        Some(Ok(Status::Running(pid))) => {
            found.ok(check, job, format_args!("{} runs as process {pid}", case.daemon));
            return Ok(found);
        }
        Some(Ok(status)) => status,
        // An unusable pidfile is a finding of its own.
        Some(Err(_)) | None => Status::Missing,
    };
    let Ok(side) = side else {
        let why =
            format!("no process by the pidfile, and the sessions cannot be seen: {} is not reached", role_of(case));
        found.unknown(check, job, why, start);
        return Ok(found);
    };
    // A server keeps 63 bytes of a name.
    let name = &job[..job.floor_char_boundary(63)];
    let look = async || side.db.query_opt("look for sessions of the job", SESSIONS, &[text(&name)]).await;
    let mut session = look().await?;
    if let Some(first) = &session {
        // Commands have the same name for a moment; a daemon's session stays.
        case.control.sleep(STAYS).await;
        let pid: i32 = first.get(0);
        session = look().await?.filter(|again| again.get::<_, i32>(0) == pid);
    }
    match (session, status) {
        (Some(row), Status::Stale) => {
            let fact = format!(
                "the pidfile names a process that is gone, and server process {} serves a session of the job from {}",
                row.get::<_, i32>(0),
                row.get::<_, String>(1)
            );
            found.warning(check, job, fact, start);
        }
        (Some(row), _) => {
            let (pid, from): (i32, String) = (row.get(0), row.get(1));
            found.ok(check, job, format_args!("runs: server process {pid} serves its session from {from}"));
        }
        (None, Status::Stale) => {
            let fact = format!("{} does not run: its pidfile names a process that is gone", case.daemon);
            found.error(check, job, fact, start);
        }
        (None, Status::NotHeld(pid)) => {
            let pidfile = case.common.pidfile.as_deref().unwrap_or(Path::new(""));
            if is_original(pid) {
                let fact = format!("process {pid} of its pidfile is a job of SkyTools: it does this work");
                found.warning(check, job, fact, format!("end it with the program that has started it, then {start}"));
            } else {
                let fact = format!("{} does not run: process {pid} of its pidfile is another program", case.daemon);
                found.error(check, job, fact, format!("rm {} && {start}", shell_word(&pidfile.display().to_string())));
            }
        }
        (None, Status::Missing | Status::Running(_)) => {
            found.error(check, job, format_args!("{} does not run", case.daemon), start);
        }
    }
    Ok(found)
}

/// Whether a process is `londiste.py` or `pgqadm.py`, which write the same pidfiles.
fn is_original(pid: Pid) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = words.split(|byte| *byte == 0);
    words.any(|word| [&b"londiste.py"[..], b"pgqadm.py", b"londiste3", b"pgqd"].iter().any(|name| word.ends_with(name)))
}

fn role_of(case: &Case<'_>) -> Role {
    if case.londiste.is_some() { Role::Subscriber } else { Role::Provider }
}
