//! A wire between the program and a server that a test can cut, hold up or lead elsewhere.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Cluster, PortLock};

/// How long a thread may take to notice a change.
const TICK: Duration = Duration::from_millis(5);

/// What happens to bytes and new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Both ways, at once.
    Forward,
    /// Each piece waits before it is passed on.
    Delay(Duration),
    /// Connections stay open and nothing moves.
    Stall,
    /// After so many bytes from the server (counted from now, over all connections) all connections are cut, and
    /// traffic is refused from then on.
    CutAfter(u64),
    /// After so many pieces (what one read gives) of one way, over all connections, the next one is lost and all
    /// connections are cut, once: new ones work.
    CutOnceAfter(Way, u64),
    /// Open connections are cut, new ones refused.
    Refuse,
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

#[derive(Debug)]
struct State {
    target: SocketAddr,
    traffic: Traffic,
    /// Connections of an older generation end.
    generation: u64,
    passed: u64,
    pieces: u64,
    closing: bool,
}

/// A TCP proxy on a port of its own, in front of a server.
#[derive(Debug)]
pub struct Proxy {
    port: PortLock,
    state: Arc<Mutex<State>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Forwards to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let port = PortLock::claim();
        let state = State { target, traffic: Traffic::Forward, generation: 0, passed: 0, pieces: 0, closing: false };
        let state = Arc::new(Mutex::new(state));
        let listener = listen(port.number());
        let (number, shared) = (port.number(), Arc::clone(&state));
        let acceptor = Some(thread::spawn(move || accept(number, listener, &shared)));
        Proxy { port, state, acceptor }
    }

    /// Forwards to a cluster made with `tcp()`.
    pub fn to_cluster(cluster: &Cluster) -> Self {
        Self::to(SocketAddr::from(([127, 0, 0, 1], cluster.port())))
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// A connection string through the proxy.
    pub fn conninfo(&self, dbname: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={dbname}", self.port())
    }

    /// Changes what happens from now on and returns what happened before. The listening socket of a refusing proxy is
    /// really closed when this returns.
    pub fn set_traffic(&self, traffic: Traffic) -> Traffic {
        let mut state = self.state.lock().unwrap();
        let before = std::mem::replace(&mut state.traffic, traffic);
        state.passed = 0;
        state.pieces = 0;
        if traffic == Traffic::Refuse {
            state.generation += 1;
        }
        drop(state);
        let refused = traffic == Traffic::Refuse;
        super::wait_until("the proxy follows", || {
            let answer = TcpStream::connect(("127.0.0.1", self.port())).map_err(|e| e.kind());
            let is_refused = answer.is_err_and(|kind| kind == ErrorKind::ConnectionRefused);
            if is_refused == refused { Ok(()) } else { Err(format!("refused: {is_refused}")) }
        });
        before
    }

    /// Leads new connections elsewhere, cuts the open ones, and returns the old target.
    pub fn set_target(&self, target: SocketAddr) -> SocketAddr {
        let mut state = self.state.lock().unwrap();
        state.generation += 1;
        std::mem::replace(&mut state.target, target)
    }

    /// Cuts the open connections; new ones work.
    pub fn cut(&self) {
        self.state.lock().unwrap().generation += 1;
    }

    /// What happens now.
    pub fn traffic(&self) -> Traffic {
        self.state.lock().unwrap().traffic
    }

    /// Bytes from the server since traffic was last set.
    pub fn passed(&self) -> u64 {
        self.state.lock().unwrap().passed
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        {
            let mut state = self.state.lock().unwrap();
            state.closing = true;
            state.generation += 1;
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn listen(port: u16) -> TcpListener {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn accept(port: u16, listener: TcpListener, state: &Arc<Mutex<State>>) {
    let mut listener = Some(listener);
    loop {
        let (closing, refuse) = {
            let state = state.lock().unwrap();
            (state.closing, state.traffic == Traffic::Refuse)
        };
        if closing {
            return;
        }
        if refuse {
            listener = None;
        } else if let Ok((client, _)) = listener.get_or_insert_with(|| listen(port)).accept() {
            connect(client, state);
            continue;
        }
        thread::sleep(TICK);
    }
}

fn connect(client: TcpStream, state: &Arc<Mutex<State>>) {
    let (target, generation) = {
        let state = state.lock().unwrap();
        (state.target, state.generation)
    };
    let Ok(server) = TcpStream::connect(target) else { return };
    client.set_nonblocking(false).unwrap();
    let ways =
        [(client.try_clone().unwrap(), server.try_clone().unwrap(), Way::ToServer), (server, client, Way::ToClient)];
    for (from, to, way) in ways {
        let pump = Pump { from, to, way, generation, state: Arc::clone(state) };
        thread::spawn(move || pump.run());
    }
}

/// One direction of one connection.
struct Pump {
    from: TcpStream,
    to: TcpStream,
    way: Way,
    generation: u64,
    state: Arc<Mutex<State>>,
}

impl Pump {
    fn run(mut self) {
        self.from.set_read_timeout(Some(TICK)).unwrap();
        let mut buffer = [0; 16 * 1024];
        while let Some(traffic) = self.current() {
            if traffic == Traffic::Stall {
                thread::sleep(TICK);
                continue;
            }
            match self.from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    // Asked again: it may have changed during the read.
                    if let Some(Traffic::Delay(pause)) = self.current() {
                        thread::sleep(pause);
                    }
                    let Some(allowed) = self.allow(length) else { break };
                    if self.to.write_all(&buffer[..allowed]).is_err() || allowed < length {
                        break;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
        }
        let _ = self.from.shutdown(Shutdown::Both);
        let _ = self.to.shutdown(Shutdown::Both);
    }

    /// What to do now; `None` when this connection is to end.
    fn current(&self) -> Option<Traffic> {
        let state = self.state.lock().unwrap();
        (state.generation == self.generation).then_some(state.traffic)
    }

    /// How many of `length` bytes that were read may pass. Waits while traffic stalls: it may have begun to during
    /// the read.
    fn allow(&self, length: usize) -> Option<usize> {
        loop {
            let mut state = self.state.lock().unwrap();
            if state.generation != self.generation {
                return None;
            }
            match state.traffic {
                Traffic::Stall => {}
                Traffic::CutAfter(limit) if self.way == Way::ToClient => {
                    let left = usize::try_from(limit.saturating_sub(state.passed)).unwrap_or(usize::MAX);
                    let allowed = length.min(left);
                    state.passed += allowed as u64;
                    if allowed == left {
                        state.traffic = Traffic::Refuse;
                        state.generation += 1;
                    }
                    return Some(allowed);
                }
                Traffic::CutOnceAfter(way, limit) if self.way == way => {
                    if state.pieces == limit {
                        state.traffic = Traffic::Forward;
                        state.generation += 1;
                        return None;
                    }
                    state.pieces += 1;
                    return Some(length);
                }
                _ => {
                    state.passed += if self.way == Way::ToClient { length as u64 } else { 0 };
                    return Some(length);
                }
            }
            drop(state);
            thread::sleep(TICK);
        }
    }
}
