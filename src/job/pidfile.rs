//! The file with the process id of a running job: claimed at start, removed at the end, read to send signals.
//!
//! Its content is the decimal process id without a newline, as SkyTools writes it. A claim holds the lock (`flock`) of
//! the open file as long as the process lives, so that a file left behind by a crash is told from a file in use even
//! when another process has its process id by now. Other programs, such as those of SkyTools, take no lock: a file that
//! names a living process is not claimed, but without the lock the process gets no signal, since it may be any process.
//!
//! Why a claim checks the path again after it has the lock:
//!
//! 1. Process A holds the file and is about to end. Process B has opened the file and is about to lock it.
//! 2. A removes the file and ends: the lock is free, but B's file has no name any more.
//! 3. Process C finds no file, creates a new one and locks it.
//! 4. B gets the lock of the nameless file: B and C both run.
//!
//! The rule: a lock counts only if the path still names the locked file, and only the holder of the lock removes the file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::safe_file::{self, Kind};
use crate::error::{Error, Result};

/// How often, and after what pause, an empty file is read again: its holder has not written the process id yet.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// A pidfile that this process holds. Dropping removes the file and then releases its lock.
#[derive(Debug)]
pub(crate) struct Pidfile {
    path: PathBuf,
    file: File,
    was_stale: bool,
}

impl Pidfile {
    /// Locks the file and writes this process' id into it. Fails with [`Error::PidfileBusy`] when another process has
    /// it, with [`Error::Refused`] when its content is no process id, or with [`Error::Io`].
    pub(crate) fn claim(path: &Path) -> Result<Pidfile> {
        let failed = |source| Error::Io { action: "write pidfile", path: path.to_owned(), source };
        loop {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            let mut file = safe_file::open(options, path, Kind::Plain).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if !is_same(&file, path) => continue,
                Err(TryLockError::WouldBlock) => match holder(path)? {
                    Some(pid) => return Err(Error::PidfileBusy { path: path.to_owned(), pid: pid.as_raw() }),
                    None => continue,
                },
                // On a file system without locks the process id alone decides, as in SkyTools.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            let found = read(&mut file, path)?;
            if let Some(pid) = found.filter(|pid| *pid != Pid::this() && is_alive(*pid)) {
                return Err(Error::PidfileBusy { path: path.to_owned(), pid: pid.as_raw() });
            }
            let pidfile = Pidfile { path: path.to_owned(), file, was_stale: found.is_some() };
            // Where this fails, as on a full disk, the file goes with the value.
            write(&pidfile.file).map_err(failed)?;
            return Ok(pidfile);
        }
    }

    /// Whether the file existed already and named a process that does not live any more.
    pub(crate) fn was_stale(&self) -> bool {
        self.was_stale
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if is_same(&self.file, &self.path)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("could not remove pidfile \"{}\": {error}", self.path.display());
        }
    }
}

/// The path with `suffix` at its end: `x.pid` and `.copy` make `x.pid.copy`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The state of a pidfile and its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// There is no file.
    Missing,
    /// There is a file, but its process does not live, or the file stays empty.
    Stale,
    /// The process lives and does not hold the lock: another process has the process id by now, or the job is one of
    /// another program.
    NotHeld(Pid),
    /// The process lives and the lock is held.
    Running(Pid),
}

/// Whether the job of a pidfile runs. Waits up to a second for an empty file to be filled. Fails with [`Error::Io`], or
/// with [`Error::Refused`] when the content is no process id.
pub(crate) fn status(path: &Path) -> Result<Status> {
    let mut file = match safe_file::open(OpenOptions::new().read(true), path, Kind::Plain) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Status::Missing),
        Err(source) => return Err(Error::Io { action: "read pidfile", path: path.to_owned(), source }),
    };
    for _ in 0..LOOKS {
        match read(&mut file, path)? {
            Some(pid) if !is_alive(pid) => return Ok(Status::Stale),
            Some(pid) if is_held(&file) => return Ok(Status::Running(pid)),
            Some(pid) => return Ok(Status::NotHeld(pid)),
            // The holder has the lock and is about to write.
            None => thread::sleep(PAUSE),
        }
    }
    Ok(Status::Stale)
}

/// Whether the job of a pidfile runs, as far as the file can tell.
pub(crate) fn is_running(path: &Path) -> bool {
    matches!(status(path), Ok(Status::Running(_)))
}

/// Whether another process has the lock. On a file system without locks this is taken for granted: the process id decides.
fn is_held(file: &File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock();
            false
        }
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
    }
}

/// Sends a signal if the status is [`Status::Running`], and returns the status. Fails as [`status`].
pub(crate) fn signal(path: &Path, signal: Signal) -> Result<Status> {
    let status = status(path)?;
    let Status::Running(pid) = status else { return Ok(status) };
    match kill(pid, signal) {
        Ok(()) => Ok(status),
        Err(Errno::ESRCH) => Ok(Status::Stale),
        Err(errno) => {
            Err(Error::Io { action: "signal the process of pidfile", path: path.to_owned(), source: errno.into() })
        }
    }
}

/// The process id in a file that another process has locked; `None`, after a pause, when the lock was released meanwhile.
fn holder(path: &Path) -> Result<Option<Pid>> {
    match status(path)? {
        Status::Running(pid) => Ok(Some(pid)),
        Status::Missing | Status::Stale | Status::NotHeld(_) => {
            thread::sleep(PAUSE);
            Ok(None)
        }
    }
}

/// The first line of the file as a process id; `None` when the file is empty.
fn read(file: &mut File, path: &Path) -> Result<Option<Pid>> {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(1000).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(corrupt(path)),
        Err(source) => return Err(Error::Io { action: "read pidfile", path: path.to_owned(), source }),
    }
    if text.is_empty() {
        return Ok(None);
    }
    let first = text.lines().next().unwrap_or_default().trim();
    // kill(2) takes 0 and negative numbers for groups of processes.
    match first.parse() {
        Ok(pid) if pid > 0 => Ok(Some(Pid::from_raw(pid))),
        _ => Err(corrupt(path)),
    }
}

fn corrupt(path: &Path) -> Error {
    Error::refused(
        format!("Corrupt pidfile: {}", path.display()),
        "It should hold nothing but a process id; make sure that the job does not run, then remove the file.",
    )
}

fn write(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(std::process::id().to_string().as_bytes())
}

/// Whether a process with this id lives, whatever its user. A zombie, such as one in a container without an init, still
/// accepts signals, so `/proc` is read too.
fn is_alive(pid: Pid) -> bool {
    !matches!(kill(pid, None), Err(Errno::ESRCH)) && !matches!(state(pid), Some('Z' | 'X'))
}

/// Whether a process was stopped by a signal (`SIGSTOP`, Ctrl-Z) or a debugger, and not continued yet.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    matches!(state(pid), Some('T' | 't'))
}

/// The letter of a process' state in `/proc`.
fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The state follows the name in parentheses, which may hold any character.
    stat.rsplit_once(") ")?.1.chars().next()
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::sync::atomic::{AtomicU32, Ordering};

    use pretty_assertions::assert_eq;

    use super::*;

    fn dead_pid() -> anyhow::Result<u32> {
        let mut child = Command::new("true").spawn()?;
        child.wait()?;
        Ok(child.id())
    }

    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> anyhow::Result<Sleeper> {
            Ok(Sleeper(Command::new("sleep").arg("60").spawn()?))
        }

        fn pid(&self) -> Pid {
            Pid::from_raw(self.0.id().cast_signed())
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn claim_writes_the_pid_without_newline_and_drop_removes_it() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.pid");
        let pidfile = Pidfile::claim(&path)?;
        assert_eq!(fs::read_to_string(&path)?, std::process::id().to_string());
        assert!(!pidfile.was_stale());
        drop(pidfile);
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn file_of_a_living_process_is_left() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.pid");
        let sleeper = Sleeper::start()?;
        fs::write(&path, sleeper.pid().to_string())?;
        let error = Pidfile::claim(&path).expect_err("refused");
        assert_eq!(error.to_string(), "Pidfile exists, another process running?");
        assert!(matches!(error, Error::PidfileBusy { pid, .. } if pid == sleeper.pid().as_raw()));
        assert_eq!(fs::read_to_string(&path)?, sleeper.pid().to_string());
        Ok(())
    }

    #[test]
    fn claimed_file_is_refused_to_others() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.pid");
        let _pidfile = Pidfile::claim(&path)?;
        assert!(matches!(Pidfile::claim(&path), Err(Error::PidfileBusy { .. })));
        Ok(())
    }

    #[test]
    fn stale_file_is_taken_over() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.pid");
        // Our own number is what a container that starts again with the same process ids finds.
        for pid in [dead_pid()?, std::process::id()] {
            fs::write(&path, format!("{pid}\nsecond line"))?;
            let pidfile = Pidfile::claim(&path)?;
            assert!(pidfile.was_stale());
            assert_eq!(fs::read_to_string(&path)?, std::process::id().to_string());
        }
        Ok(())
    }

    #[test]
    fn process_that_has_ended_but_was_not_waited_for_does_not_live() -> anyhow::Result<()> {
        let mut sleeper = Sleeper::start()?;
        assert!(is_alive(sleeper.pid()));
        sleeper.0.kill()?;
        let ended = (0..LOOKS).any(|_| {
            thread::sleep(PAUSE);
            !is_alive(sleeper.pid())
        });
        assert!(ended);
        Ok(())
    }

    #[test]
    fn corrupt_file_is_an_error_that_names_it() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.pid");
        for content in [&b"junk"[..], b"0", b"-1", b"\n", b"\xff\xfe", b"99999999999999"] {
            fs::write(&path, content)?;
            for error in
                [Pidfile::claim(&path).expect_err("refused"), signal(&path, Signal::SIGTERM).expect_err("refused")]
            {
                assert_eq!(error.to_string(), format!("Corrupt pidfile: {}", path.display()));
            }
        }
        Ok(())
    }

    #[test]
    fn file_that_another_put_there_is_not_removed() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.pid");
        let pidfile = Pidfile::claim(&path)?;
        fs::remove_file(&path)?;
        fs::write(&path, "1")?;
        drop(pidfile);
        assert_eq!(fs::read_to_string(&path)?, "1");
        Ok(())
    }

    #[test]
    fn directory_that_does_not_exist_is_named() {
        let error = Pidfile::claim(Path::new("/nonexistent/x.pid")).expect_err("refused");
        let text = "could not write pidfile \"/nonexistent/x.pid\": No such file or directory (os error 2)";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn signal_reaches_the_process_and_tells_what_is_not_there() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.pid");
        assert_eq!(signal(&path, Signal::SIGTERM)?, Status::Missing);
        fs::write(&path, dead_pid()?.to_string())?;
        assert_eq!(signal(&path, Signal::SIGTERM)?, Status::Stale);
        assert!(path.exists());
        let mut sleeper = Sleeper::start()?;
        fs::write(&path, sleeper.pid().to_string())?;
        assert_eq!(signal(&path, Signal::SIGTERM)?, Status::NotHeld(sleeper.pid()));
        assert!(sleeper.0.try_wait()?.is_none());
        let holder = File::open(&path)?;
        holder.lock()?;
        assert_eq!(signal(&path, Signal::SIGTERM)?, Status::Running(sleeper.pid()));
        assert!(!sleeper.0.wait()?.success());
        Ok(())
    }

    /// Locks belong to the open file, so threads compete as processes do.
    #[test]
    fn of_many_that_claim_and_release_only_one_holds_it() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.pid");
        let holders = AtomicU32::new(0);
        let claims = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while claims.load(Ordering::SeqCst) < 500 {
                        let Ok(pidfile) = Pidfile::claim(&path) else { continue };
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        claims.fetch_add(1, Ordering::SeqCst);
                        thread::yield_now();
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(pidfile);
                    }
                });
            }
        });
        assert!(!path.exists());
        Ok(())
    }
}
