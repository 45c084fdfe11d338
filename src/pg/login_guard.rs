//! Bounds what a server may send before the login is complete. Until then the server is not authenticated, and the client
//! library keeps a whole message in memory, whatever length the server announces.
//!
//! The guard reads the headers of messages: a message is one letter, a length in four bytes (which counts these four and
//! the body), and a body. With ReadyForQuery the login is complete, and the guard ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

/// Bytes of the longest message before the login is complete. The longest ones in practice are notices and errors, which
/// libpq limits to 30000 bytes, and parameters such as `search_path`.
const LONGEST_MESSAGE: u32 = 64 * 1024;

/// Bytes of all messages together before the login is complete.
const MOST: u64 = 1024 * 1024;

/// The letter of ReadyForQuery.
const READY: u8 = b'Z';

/// The end of what a server sends before it waits for the client: ReadyForQuery with its length, less the state of the
/// transaction, which is one byte more.
const READY_MESSAGE: [u8; 5] = [READY, 0, 0, 0, 5];

/// What was heard from a server. Tells a silent server from one that sends, and from one that has nothing to say.
#[derive(Debug, Default)]
pub(super) struct Heard {
    reads: AtomicU64,
    is_ready: AtomicBool,
}

impl Heard {
    /// How many reads have returned bytes.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Whether the server has answered everything that was sent. Values that look like ReadyForQuery may be taken for the
    /// message until more is read, and a notification that comes afterwards for a part of an answer.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }
}

/// A stream with the guard, and a count of what was read.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    login: Option<Login>,
    heard: Arc<Heard>,
    /// The last bytes that were read.
    tail: [u8; 6],
    close: Close,
}

/// Who closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The client, without waiting.
    Client,
    /// The server; the client waits for the end of the connection before it closes its side.
    Server,
}

/// What the first byte from the server is: the beginning of a message, or the answer to a request for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstByte {
    OfMessage,
    OfTlsAnswer,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, first: FirstByte, heard: Arc<Heard>) -> Guarded<S> {
        Guarded { stream, login: Some(Login::new(first)), heard, tail: [0; 6], close: Close::Client }
    }

    pub(super) fn closed_by(self, close: Close) -> Guarded<S> {
        Guarded { close, ..self }
    }

    /// The same stream without a guard, to carry TLS: encrypted bytes have no headers to read. The stream above counts what
    /// was heard, and decides who closes the connection.
    pub(super) fn beneath_tls(self) -> (Guarded<S>, Arc<Heard>, Close) {
        let (heard, close) = (self.heard, self.close);
        (Guarded { login: None, heard: Arc::default(), close: Close::Client, ..self }, heard, close)
    }

    /// Notes bytes that were read.
    fn hear(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(self.tail.len())..];
        self.tail.rotate_left(last.len());
        let kept = self.tail.len() - last.len();
        self.tail[kept..].copy_from_slice(last);
        self.heard.reads.fetch_add(1, Ordering::Relaxed);
        self.heard.is_ready.store(self.tail.starts_with(&READY_MESSAGE), Ordering::Relaxed);
    }
}

/// The position of the stream in the messages of the login.
#[derive(Debug)]
struct Login {
    /// The answer to a request for TLS has still to come.
    skips: bool,
    header: [u8; 5],
    /// Bytes of the header that have come.
    filled: usize,
    /// Bytes of the body that have still to come.
    body: u64,
    /// Bytes of all messages so far.
    all: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Goes,
    Complete,
}

impl Login {
    fn new(first: FirstByte) -> Login {
        Login { skips: first == FirstByte::OfTlsAnswer, header: [0; 5], filled: 0, body: 0, all: 0 }
    }

    /// Follows the headers in bytes from the server. The error says which limit is exceeded.
    fn read(&mut self, mut bytes: &[u8]) -> Result<Progress, String> {
        if self.skips && !bytes.is_empty() {
            self.skips = false;
            bytes = &bytes[1..];
        }
        while !bytes.is_empty() {
            if self.body > 0 {
                let part = usize::try_from(self.body).unwrap_or(usize::MAX).min(bytes.len());
                self.body -= part as u64;
                bytes = &bytes[part..];
                continue;
            }
            self.header[self.filled] = bytes[0];
            self.filled += 1;
            bytes = &bytes[1..];
            if self.filled == self.header.len() {
                self.filled = 0;
                if self.begin_message()? == Progress::Complete {
                    return Ok(Progress::Complete);
                }
            }
        }
        Ok(Progress::Goes)
    }

    fn begin_message(&mut self) -> Result<Progress, String> {
        let [letter, length @ ..] = self.header;
        let length = u32::from_be_bytes(length);
        if !(4..=LONGEST_MESSAGE).contains(&length) {
            return Err(format!("the server sent a message of {length} bytes before the login was complete"));
        }
        self.all += u64::from(length);
        if self.all > MOST {
            return Err(format!("the server sent more than {MOST} bytes before the login was complete"));
        }
        self.body = u64::from(length) - 4;
        Ok(if letter == READY { Progress::Complete } else { Progress::Goes })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let bytes = &buf.filled()[before..];
        if !bytes.is_empty() {
            this.hear(bytes);
        }
        if let Some(login) = &mut this.login
            && login.read(bytes).map_err(io::Error::other)? == Progress::Complete
        {
            this.login = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.heard.is_ready.store(false, Ordering::Relaxed);
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.close == Close::Server {
            let mut bytes = [0; 64];
            let mut buf = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                this.close = Close::Client;
            }
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Guarded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(letter: u8, length: u32) -> Vec<u8> {
        let body = vec![b'x'; usize::try_from(length).unwrap_or_default().saturating_sub(4)];
        [&[letter][..], &length.to_be_bytes(), &body].concat()
    }

    /// The outcome however the bytes are cut into pieces.
    fn outcome(first: FirstByte, bytes: &[u8]) -> Result<Progress, String> {
        let mut outcomes = [1, 3, 4096, bytes.len().max(1)].map(|size| {
            let mut login = Login::new(first);
            for piece in bytes.chunks(size) {
                if login.read(piece)? == Progress::Complete {
                    return Ok(Progress::Complete);
                }
            }
            Ok(Progress::Goes)
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        std::mem::replace(&mut outcomes[0], Ok(Progress::Goes))
    }

    #[test]
    fn ordinary_login_passes_and_ends_the_guard() {
        let login = [message(b'R', 8), message(b'S', 60_000), message(b'K', 12)].concat();
        assert_eq!(outcome(FirstByte::OfMessage, &login), Ok(Progress::Goes));
        let ready = [login, message(READY, 5)].concat();
        assert_eq!(outcome(FirstByte::OfMessage, &ready), Ok(Progress::Complete));
        let answered = [&b"N"[..], &ready].concat();
        assert_eq!(outcome(FirstByte::OfTlsAnswer, &answered), Ok(Progress::Complete));
    }

    #[test]
    fn server_is_ready_when_its_last_bytes_say_so() {
        let mut guarded = Guarded::new((), FirstByte::OfMessage, Arc::default());
        for (bytes, is_ready) in [
            (&b"C\0\0\0\rSELECT 1\0Z\0\0\0\x05I"[..], true),
            (b"T", false),
            (b"Z\0\0", false),
            (b"\0\x05", false),
            (b"T", true),
            (b"A\0\0\0\x0f\0\0\0\x01q\0\0", false),
            (b"Z\0\0\0\x05E", true),
        ] {
            guarded.hear(bytes);
            assert_eq!(guarded.heard.is_ready(), is_ready, "{bytes:?}");
        }
        assert_eq!(guarded.heard.reads(), 7);
    }

    #[test]
    fn long_messages_and_many_of_them_are_errors() {
        for length in [0, 3, LONGEST_MESSAGE + 1, u32::MAX] {
            let text = format!("the server sent a message of {length} bytes before the login was complete");
            let header = [&b"E"[..], &length.to_be_bytes()].concat();
            assert_eq!(outcome(FirstByte::OfMessage, &header), Err(text));
        }
        let many = message(b'S', 60_000).repeat(20);
        let text = "the server sent more than 1048576 bytes before the login was complete".to_owned();
        assert_eq!(outcome(FirstByte::OfMessage, &many), Err(text));
    }
}
