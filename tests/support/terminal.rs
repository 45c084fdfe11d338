//! A terminal for programs that draw on one.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::pty::{Winsize, openpty};

use super::wait_until;

/// A pseudo-terminal of 24 lines and 120 columns. All that is drawn on it is kept.
pub struct Terminal {
    side: OwnedFd,
    drawn: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub fn new() -> Self {
        let size = Winsize { ws_row: 24, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let drawn = Arc::new(Mutex::new(Vec::new()));
        let (mut master, kept) = (File::from(pty.master), drawn.clone());
        // Ends with an error when nobody has the other side open any more.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = master.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Terminal { side: pty.slave, drawn }
    }

    /// For a program to draw on.
    pub fn side(&self) -> Stdio {
        Stdio::from(self.side.try_clone().unwrap())
    }

    /// All that has been drawn, with the sequences that move the cursor.
    pub fn drawn(&self) -> String {
        String::from_utf8_lossy(&self.drawn.lock().unwrap()).into_owned()
    }

    /// Waits until something has been drawn that has all of these in one line.
    #[track_caller]
    pub fn wait_for_line(&self, parts: &[&str]) {
        wait_until(&format!("a line with {parts:?} is drawn"), || {
            let drawn = self.drawn();
            let has_all = |line: &str| parts.iter().all(|part| line.contains(part));
            if drawn.split(['\r', '\n']).any(has_all) { Ok(()) } else { Err(drawn) }
        });
    }
}
