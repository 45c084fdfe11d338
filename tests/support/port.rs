//! Port numbers that no two tests use at the same time, in whatever process they run.
//!
//! Binding port 0 and closing it again leaves a gap in which another process can get the same number. Here the number
//! is claimed by a lock on a file that is held as long as the port is in use; the bind test afterwards only filters out
//! ports of programs that do not take part.

use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

use super::run_dir;

/// Below the range that the kernel hands out for outgoing connections.
const PORTS: Range<u16> = 20_000..28_000;

/// A claimed port.
#[derive(Debug)]
pub struct PortLock {
    number: u16,
    _lock: File,
}

impl PortLock {
    /// Claims a free port.
    pub fn claim() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let dir = run_dir::base().join("ports");
        fs::create_dir_all(&dir).unwrap();
        // Processes start at different numbers, to meet seldom.
        let start = u16::try_from(std::process::id() % 8_000).unwrap();
        for _ in PORTS {
            let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % u16::try_from(PORTS.len()).unwrap();
            let number = PORTS.start + offset;
            let lock = File::create(dir.join(number.to_string())).unwrap();
            match lock.try_lock() {
                Ok(()) if TcpListener::bind(("127.0.0.1", number)).is_ok() => return PortLock { number, _lock: lock },
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => panic!("could not lock the file of port {number}: {error}"),
            }
        }
        panic!("no free port in {PORTS:?}")
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}
