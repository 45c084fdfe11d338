//! The data directory that every cluster is copied from: `initdb` takes a second, a copy a tenth of one.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Binaries, run_dir};

/// Copies the template of this PostgreSQL version to `target`; makes the template first when there is none.
pub fn copy_to(binaries: &Binaries, target: &Path) {
    let template = template(binaries);
    let status = Command::new("cp").args(["-a", "--reflink=auto"]).arg(&template).arg(target).status().unwrap();
    assert!(status.success(), "could not copy {} to {}", template.display(), target.display());
}

/// Several test processes may ask at once: one makes it, the others wait at the lock, and the rename lets nobody see a
/// half-made one, even when its maker was killed.
fn template(binaries: &Binaries) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    binaries.hash(&mut hasher);
    let name = format!("template-{}-{:x}", binaries.version(), hasher.finish());
    let path = run_dir::base().join(&name);
    let lock = File::create(run_dir::base().join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !path.exists() {
        let half_made = run_dir::base().join(format!("{name}.new"));
        let _ = fs::remove_dir_all(&half_made);
        run_dir::create_server_dir(&half_made);
        initdb(binaries, &half_made.join("data"));
        fs::rename(half_made.join("data"), &path).unwrap();
        let _ = fs::remove_dir_all(&half_made);
    }
    path
}

fn initdb(binaries: &Binaries, data: &Path) {
    let output = run_dir::server_command(&binaries.program("initdb"))
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(data)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("could not run {}: {error}", binaries.program("initdb").display()));
    assert!(
        output.status.success(),
        "initdb failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
