//! The directory of one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{evidence, run_dir};

/// A directory that goes away with the test, unless the test fails.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Named after the running test, so that kept evidence is easy to find; cut so that the path of a socket in it, of which the system
    /// takes 107 bytes, is not too long whatever number the run has.
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let test = thread::current().name().unwrap_or("main").replace("::", ".");
        let path = run_dir::path().join(format!("{count}-{test:.40}"));
        fs::create_dir(&path).unwrap();
        Scratch { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file below the directory and returns its path.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() {
            run_dir::keep();
            eprintln!("kept: {}", self.path.display());
            evidence::print_failure();
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
