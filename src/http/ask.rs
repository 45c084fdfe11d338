//! Asks the server of another process of this machine, as the health check of a container does.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::Listen;

/// How long the answer may take, with the connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of the longest answer that is read.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Status and first line of the answer to GET. Fails with [`ErrorKind::TimedOut`] after [`PATIENCE`], with
/// [`ErrorKind::InvalidData`] when the answer is not one of HTTP.
pub(crate) async fn ask(listen: Listen, path: &str) -> io::Result<(u16, String)> {
    let asked = tokio::time::timeout(PATIENCE, exchange(reachable(listen.0), path)).await;
    let answer = asked.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
    parse(&answer).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the answer is not one of HTTP"))
}

async fn exchange(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Where a server that listens on this address is reached: all addresses of the machine have loopback among them.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut words = head.lines().next()?.split(' ');
    let status = words.next().filter(|version| version.starts_with("HTTP/1.")).and(words.next())?.parse().ok()?;
    Some((status, body.lines().next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_first_line_are_read() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nno queue\nmore\n";
        assert_eq!(parse(answer), Some((503, "no queue".to_owned())));
        assert_eq!(parse("HTTP/1.1 200 OK\r\n\r\n"), Some((200, String::new())));
        for other in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 OK\r\n\r\n"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn server_on_all_addresses_is_asked_on_loopback() {
        for (listen, asked) in
            [("0.0.0.0:9187", "127.0.0.1:9187"), ("[::]:9187", "[::1]:9187"), ("10.0.0.5:9187", "10.0.0.5:9187")]
        {
            let reached = listen.parse().map(reachable);
            assert_eq!(reached.map(|address| address.to_string()).as_deref(), Ok(asked));
        }
    }
}
