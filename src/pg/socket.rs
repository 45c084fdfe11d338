//! The socket of a session: how a server is reached, and whether it still answers.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::conninfo::Keepalives;

/// The default of `keepalives_idle`: Linux's own, which libpq uses too.
const KEEPALIVES_IDLE: Duration = Duration::from_hours(2);

/// The request for TLS: its length and its code. A server answers it with one byte, before any login.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// One address of a server.
#[derive(Clone, Debug)]
pub(super) enum Server {
    Ip(IpAddr),
    /// The directory of its socket.
    Socket(PathBuf),
}

/// How one server is reached.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) server: Server,
    pub(super) port: u16,
    pub(super) tcp_user_timeout: Option<Duration>,
    pub(super) keepalives: Keepalives,
}

impl Place {
    /// Opens a connection, without a limit of time.
    pub(super) async fn open(&self) -> io::Result<Socket> {
        match &self.server {
            Server::Ip(ip) => {
                let stream = TcpStream::connect((*ip, self.port)).await?;
                stream.set_nodelay(true)?;
                let socket = SockRef::from(&stream);
                if self.tcp_user_timeout.is_some() {
                    socket.set_tcp_user_timeout(self.tcp_user_timeout)?;
                }
                if self.keepalives.on {
                    socket.set_tcp_keepalive(&tcp_keepalive(&self.keepalives))?;
                }
                Ok(Socket::Tcp(stream))
            }
            Server::Socket(directory) => {
                let path = directory.join(format!(".s.PGSQL.{}", self.port));
                Ok(Socket::Unix(UnixStream::connect(path).await?))
            }
        }
    }

    /// Whether the server answers on a new connection within the limit. The question is the request for TLS, which needs no
    /// login; any answer counts. A server whose sessions are busy answers too, by a new process.
    pub(super) async fn answers(&self, limit: Duration) -> bool {
        let ask = async {
            let mut socket = self.open().await?;
            socket.write_all(&SSL_REQUEST).await?;
            socket.read_u8().await
        };
        matches!(tokio::time::timeout(limit, ask).await, Ok(Ok(_)))
    }
}

fn tcp_keepalive(settings: &Keepalives) -> TcpKeepalive {
    let mut keepalive = TcpKeepalive::new().with_time(settings.idle.unwrap_or(KEEPALIVES_IDLE));
    if let Some(interval) = settings.interval {
        keepalive = keepalive.with_interval(interval);
    }
    if let Some(count) = settings.count {
        keepalive = keepalive.with_retries(count);
    }
    keepalive
}

/// A connection of either kind.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
