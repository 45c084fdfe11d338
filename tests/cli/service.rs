//! What a service manager is told over `NOTIFY_SOCKET`.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::support::{Replication, Scratch};

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn new(scratch: &Scratch) -> Manager {
        let path = scratch.path().join("notify").display().to_string();
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager { socket, path }
    }

    /// The next message, if there is one in time.
    fn next(&self, limit: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(limit)).unwrap();
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// The messages up to one that begins like this.
    #[track_caller]
    fn until(&self, wanted: &str) -> Vec<String> {
        let mut messages: Vec<String> = Vec::new();
        while !messages.last().is_some_and(|message| message.starts_with(wanted)) {
            match self.next(Duration::from_mins(1)) {
                Some(message) => messages.push(message),
                None => panic!("no {wanted} among {messages:?}"),
            }
        }
        messages
    }
}

#[test]
fn service_manager_hears_of_start_reload_work_and_end() {
    let r = Replication::new().with_table("t", "id int primary key").up();
    r.londiste.stop();
    let scratch = Scratch::new();
    let manager = Manager::new(&scratch);
    let program = r.londiste.program(["replay"]).env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "400000");
    let mut child = program.spawn(&scratch);
    // Nothing comes before the first good round.
    assert_eq!(manager.until("READY=1").len(), 1);
    manager.until("WATCHDOG=1");
    r.provider.sql("insert into t values (1)");
    let messages = manager.until("STATUS=");
    let status = messages.last().unwrap();
    let (tick, rest) = status.strip_prefix("STATUS=tick ").unwrap().split_once(" is applied, ").unwrap();
    assert!(tick.parse::<u64>().is_ok(), "{status}");
    let (seconds, rest) = rest.split_once(" s behind; the last batch had ").unwrap();
    assert!(seconds.parse::<f64>().is_ok() && rest.contains(" events"), "{status}");
    r.londiste.reload();
    let messages = manager.until("RELOADING=1");
    assert!(messages.last().unwrap().contains("MONOTONIC_USEC="), "{messages:?}");
    manager.until("READY=1");
    // While rounds fail, the watchdog starves; it is fed again when they are good.
    r.subscriber.sql("alter table londiste.subscriber_table rename to away");
    r.provider.sql("insert into t values (2)");
    r.londiste.wait_for_log("crashed");
    while manager.next(Duration::from_millis(1)).is_some() {}
    let (started, mut fed) = (Instant::now(), Vec::new());
    while started.elapsed() < Duration::from_secs(2) {
        fed.extend(manager.next(Duration::from_millis(100)));
    }
    assert_eq!(fed, Vec::<String>::new());
    r.subscriber.sql("alter table londiste.away rename to subscriber_table");
    manager.until("WATCHDOG=1");
    r.londiste.run("replay -s");
    manager.until("STOPPING=1");
    assert!(child.wait().unwrap().success());
}
