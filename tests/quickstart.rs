//! The first thing that a new user runs.

use std::path::Path;
use std::process::Command;

use crate::support::{Binaries, server_and_client_fit};

#[test]
fn quickstart_ends_with_both_sides_equal_and_cleans_up() {
    let binaries = Binaries::find();
    if !server_and_client_fit(&binaries) {
        eprintln!("skipped: pg_dump of this machine is not that of PostgreSQL {}", binaries.major());
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart.sh");
    let output = Command::new("bash")
        .arg(script)
        .env("RLONDISTE", env!("CARGO_BIN_EXE_rlondiste"))
        .env("PG_BINDIR", binaries.dir())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let last = stdout.lines().last().unwrap_or_default();
    let equal = last.starts_with("replication works: 6 tables, ") && last.ends_with(" rows equal on both sides");
    assert!(output.status.success() && equal, "{}\n{stdout}\n{stderr}", output.status);
    let healthy = |line: &&str| line.strip_suffix(" ok").is_some_and(|line| line.contains(" checks: "));
    assert_eq!(stdout.lines().filter(healthy).count(), 3, "{stdout}");
    let work = stdout.lines().find_map(|line| line.strip_prefix("host1=")?.split_once("/host1 ")).unwrap().0;
    assert!(!Path::new(work).exists(), "{work} is left behind");
}

#[test]
fn quickstart_says_what_it_takes() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart.sh");
    let output = Command::new("bash").arg(script).arg("--what").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "quickstart: usage: examples/quickstart.sh [--keep]\n");
    assert_eq!(output.status.code(), Some(1));
}
