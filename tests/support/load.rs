//! A write load: clients that keep writing until they are told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Database, Session};

/// Leaves some of the machine to what is tested.
const PAUSE: Duration = Duration::from_millis(20);

/// Clients at work. Dropped, they stop.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<usize>>,
}

impl Load {
    /// Each client runs `statements(client, n)` for n = 0, 1, ...; a statement that fails fails the test at
    /// [`Load::stop`].
    pub fn start(database: &Database, clients: usize, statements: fn(usize, usize) -> String) -> Self {
        Self::of((0..clients).map(|_| database.session()).collect(), statements)
    }

    /// As [`Load::start`], by sessions that are open already.
    pub fn of(sessions: Vec<Session>, statements: fn(usize, usize) -> String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = sessions
            .into_iter()
            .enumerate()
            .map(|(client, session)| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    let mut n = 0;
                    // At least one, however soon it is stopped.
                    loop {
                        session.sql(&statements(client, n));
                        n += 1;
                        if stop.load(Ordering::Relaxed) {
                            return n;
                        }
                        thread::sleep(PAUSE);
                    }
                })
            })
            .collect();
        Load { stop, clients }
    }

    /// Stops the clients and returns how many times they wrote.
    #[track_caller]
    pub fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.drain(..).map(|client| client.join().expect("a client of the write load failed")).sum()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}
