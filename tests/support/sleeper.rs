//! A process that does nothing.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};

use nix::sys::signal::Signal;

use super::wait_until;

/// A process that does nothing for ten minutes; ended on drop.
pub struct Sleeper {
    child: Child,
    held: Option<File>,
}

impl Sleeper {
    /// Starts one that ends by any signal, also where the tests run with a signal ignored, as under `nohup`: a process
    /// inherits that.
    #[track_caller]
    pub fn start() -> Self {
        let child = Command::new("env").args(["--default-signal", "sleep", "600"]).spawn().unwrap();
        let name = format!("/proc/{}/comm", child.id());
        let sleeper = Sleeper { child, held: None };
        wait_until("the process sleeps", || match fs::read_to_string(&name) {
            Ok(name) if name == "sleep\n" => Ok(()),
            other => Err(format!("{other:?}")),
        });
        sleeper
    }

    /// Starts one that a pidfile names, and holds the file for it as its job would.
    #[track_caller]
    pub fn with_pidfile(path: &Path) -> Self {
        let mut sleeper = Self::start();
        fs::write(path, sleeper.pid().to_string()).unwrap();
        let file = File::options().read(true).write(true).open(path).unwrap();
        file.lock().unwrap();
        sleeper.held = Some(file);
        sleeper
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether nobody has ended it.
    pub fn sleeps(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end; the signal that has ended it.
    pub fn ended_by(&mut self) -> Option<Signal> {
        self.child.wait().unwrap().signal().map(|signal| signal.try_into().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
