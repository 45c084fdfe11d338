//! One directory for everything a test process leaves on disk, and the watchdog that clears it away.
//!
//! A test process can end in ways that run no destructor: a static is never dropped, and Ctrl-C or a time-out kills it
//! outright. So the servers are not the test process's to stop in the end. A shell waits on a pipe of which only this
//! process has the other end; when the process is gone, however it went, the read returns, and the shell stops every
//! server and daemon that has a pidfile below the run directory and removes the directory, unless it holds `keep`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::unistd::{Uid, User};

/// Evidence of a failed run is removed by a later run when it is this old.
const EVIDENCE_AGE: Duration = Duration::from_hours(6);

const WATCHDOG: &str = r#"
trap '' INT HUP TERM
read -r _
pids=
for file in "$1"/*/data/postmaster.pid; do
    [ -f "$file" ] || continue
    pid=$(head -n 1 "$file")
    kill -QUIT "$pid" && pids="$pids $pid"
done
for file in $(find "$1" -name '*.pid' -not -name postmaster.pid); do
    pid=$(head -n 1 "$file")
    kill -KILL "$pid" && pids="$pids $pid"
done
tries=0
for pid in $pids; do
    while kill -0 "$pid" && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
done
[ -e "$1/keep" ] || rm -rf "$1"
"#;

struct RunDir {
    path: PathBuf,
    /// Holds the pipe.
    _watchdog: Child,
}

/// The directory of this test process.
pub fn path() -> &'static Path {
    static RUN_DIR: OnceLock<RunDir> = OnceLock::new();
    &RUN_DIR.get_or_init(create).path
}

/// Keeps the directory after the end of the process, because a test failed.
pub fn keep() {
    fs::write(path().join("keep"), "").unwrap();
}

/// The directory that outlives one run: cached data directories and port locks. Its path is short, since the sockets
/// below it have to fit into 107 bytes, and others may enter it, since servers of root run as another user.
pub fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let uid = Uid::effective();
        let base = parent().join(format!("rlondiste-it-{uid}"));
        fs::create_dir_all(&base).unwrap();
        let owner = fs::metadata(&base).unwrap().uid();
        assert_eq!(owner, uid.as_raw(), "{} belongs to another user; remove it", base.display());
        fs::set_permissions(&base, fs::Permissions::from_mode(0o755)).unwrap();
        base
    })
}

/// In memory where there is room: on a disk, half of the time of all tests goes into creating and removing the files of
/// databases.
fn parent() -> &'static Path {
    const ROOM: u64 = 8 << 30;
    let memory = Path::new("/dev/shm");
    let free = statvfs(memory).map_or(0, |fs| fs.blocks_available() * fs.fragment_size());
    if free >= ROOM { memory } else { Path::new("/tmp") }
}

/// The user that servers run as: PostgreSQL refuses to run as root, so then it is `postgres`.
pub fn server_user() -> Option<&'static User> {
    static USER: OnceLock<Option<User>> = OnceLock::new();
    USER.get_or_init(|| {
        Uid::effective().is_root().then(|| {
            User::from_name("postgres")
                .unwrap()
                .expect("as root the servers run as the user postgres, which does not exist: run tests/run.sh")
        })
    })
    .as_ref()
}

/// A command that runs as [`server_user`].
pub fn server_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = server_user() {
        // Setting the uid also drops root's supplementary groups.
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    // The current directory may be closed to that user.
    command.current_dir(base());
    command
}

/// Creates a directory that [`server_user`] owns.
pub fn create_server_dir(path: &Path) {
    fs::create_dir_all(path).unwrap();
    if let Some(user) = server_user() {
        nix::unistd::chown(path, Some(user.uid), Some(user.gid)).unwrap();
    }
}

fn create() -> RunDir {
    remove_old_evidence();
    let path = base().join(format!("run-{}", std::process::id()));
    // Left by a former process with this pid.
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    let watchdog = Command::new("sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0)
        .spawn()
        .expect("could not start sh");
    RunDir { path, _watchdog: watchdog }
}

fn remove_old_evidence() {
    for entry in fs::read_dir(base()).unwrap().flatten() {
        let is_run = entry.file_name().to_string_lossy().starts_with("run-");
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|time| time.elapsed().ok());
        if is_run && age.is_some_and(|age| age > EVIDENCE_AGE) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
