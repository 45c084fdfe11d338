//! A client that sends what it is told, byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::PortLock;

/// How long a test waits for an answer at most.
const PATIENCE: Duration = Duration::from_mins(1);

/// What Prometheus asks for.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// A port for a server of the test, and requests to it.
#[derive(Debug)]
pub struct Client {
    port: PortLock,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// The lines of the head in lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The body of an answer with status 200.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body.clone()
    }

    /// The value of a line of the head.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Client {
    /// Claims a port of 127.0.0.1.
    pub fn new() -> Client {
        Client { port: PortLock::claim() }
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The port as a value of `http_listen`.
    pub fn port_text(&self) -> String {
        self.port().to_string()
    }

    /// A connection that sends nothing yet.
    pub fn try_connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    #[track_caller]
    pub fn connect(&self) -> TcpStream {
        self.try_connect().unwrap()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path)
    }

    #[track_caller]
    pub fn request(&self, method: &str, path: &str) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: here\r\naccept: {ACCEPT}\r\n\r\n"))
    }

    /// Sends the text and reads until the server closes the connection.
    #[track_caller]
    pub fn send(&self, text: &str) -> Answer {
        let mut stream = self.connect();
        // A server that refuses the beginning does not read the rest.
        let _ = stream.write_all(text.as_bytes());
        read_answer(stream)
    }
}

#[track_caller]
fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {end:?} after {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}
