//! One open connection and the task that drives it.
//!
//! The driver owns the socket. It ends when the client is dropped and everything that was sent has been answered. Dropping
//! the future of a statement does not stop the statement on the server, so it is cancelled when the session is dropped:
//!
//! 1. the caller drops the session while a statement runs;
//! 2. the driver waits [`CLOSE_GRACE`] for the answer;
//! 3. it asks the server to cancel, again and again, until the connection has closed or [`CLOSE_LIMIT`] is over.
//!
//! When `abort` fires, the driver asks at once and without [`CLOSE_LIMIT`].
//!
//! A server that vanishes without closing the connection gives no error. The driver therefore gives up a connection on which
//! an answer is owed and nothing has come for the time of [`Peer::check`], if the server does not answer on a new connection
//! either. A server that is busy answers there. Once the work shall be finished, the time is [`PATIENCE`].
//!
//! At most [`MOST_NOTIFICATIONS`] unread notifications are kept, since any role of the server may send any number of them.
//!
//! The client library reads some messages ahead. A reader of big messages stops the driver ([`Valve`]) between them.

use std::convert::Infallible;
use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, Connection, Notification};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::login_guard::{Close, FirstByte, Guarded, Heard};
use super::pinned::Pins;
use super::socket::Place;
use super::tls::Connector;
use crate::task::Abort;
use crate::text::{Lines, one_line};

/// How long a dropped session may take to get the answers to what it has sent, before its statement is cancelled.
const CLOSE_GRACE: Duration = Duration::from_millis(200);

/// How long the driver of a dropped session goes on asking to cancel its statement.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// Time between two requests to cancel.
const CANCEL_INTERVAL: Duration = Duration::from_secs(1);

/// How long one request to cancel may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// How long a request to cancel goes on when nobody waits for it any more.
const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// How long a server has to answer once the work shall be finished.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Time between two checks of a server that is busy while the work shall be finished.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);

/// So many times within the time of the check a session is looked at: the first look may come just before the silence
/// begins, [`SILENT_LOOKS`] follow, and the server has the time of one look to answer on a new connection.
const LOOKS: u32 = SILENT_LOOKS + 2;

/// After so many looks without a word a silent server is asked on a new connection.
const SILENT_LOOKS: u32 = 4;

/// Unread notifications that are kept; later ones are lost. Readers use notifications only to wake up, for which one is
/// enough.
const MOST_NOTIFICATIONS: usize = 64;

/// SQLSTATE of the warnings of schema londiste that are for the operator.
const OPERATOR_WARNING: &str = "01L01";

/// An open session. Dropping it closes the connection, after [`CLOSE_GRACE`] or [`CLOSE_LIMIT`] if a statement runs.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) cancel: Canceller,
    pub(crate) notifications: mpsc::Receiver<Notification>,
    pub(crate) valve: Arc<Valve>,
    /// The connection string's host, port, database and user, with the host of this session, for messages.
    pub(crate) target: String,
    /// How the pinned settings are set.
    pub(super) pins: Pins,
    /// Tells the driver that the session was dropped.
    _dropped: DropGuard,
}

/// Stops a session's driver while shut: nothing is read or sent.
#[derive(Debug, Default)]
pub(crate) struct Valve {
    shut: AtomicBool,
    driver: AtomicWaker,
}

impl Valve {
    pub(crate) fn shut(&self) {
        self.shut.store(true, Ordering::Relaxed);
    }

    pub(crate) fn open(&self) {
        if self.shut.load(Ordering::Relaxed) {
            self.shut.store(false, Ordering::Release);
            self.driver.wake();
        }
    }

    /// Whether the driver has to stop here; it is woken when it may go on.
    fn stops(&self, cx: &mut Context<'_>) -> bool {
        if !self.shut.load(Ordering::Relaxed) {
            return false;
        }
        self.driver.register(cx.waker());
        // `open` may have come before the registration, whose waker then was not called.
        self.shut.load(Ordering::Acquire)
    }
}

/// The server of a session, as the driver needs to know it.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) place: Place,
    pub(super) heard: Arc<Heard>,
    /// After how long a server that owes an answer is given up; `None` waits for ever.
    pub(super) check: Option<Duration>,
    pub(super) tls: Connector,
    /// The name that the server's certificate has to have.
    pub(super) certified: String,
    /// The role and the server, for messages.
    pub(super) shown: String,
}

impl Peer {
    /// Returns when nothing has come from the server for [`PATIENCE`] ([`LOOK_INTERVAL`] from the second check on) and
    /// it does not answer on a new connection either.
    async fn falls_silent(&self) {
        let mut pause = PATIENCE;
        loop {
            let before = self.heard.reads();
            tokio::time::sleep(pause).await;
            pause = LOOK_INTERVAL;
            let has_sent = || self.heard.reads() != before;
            if !has_sent() && !self.place.answers(PATIENCE).await && !has_sent() {
                return;
            }
        }
    }

    /// Returns when the server owes an answer, nothing has come from it for the time of the check, and it does not answer on a
    /// new connection either. A statement that takes its time is not given up: its server answers there.
    async fn stops_answering(&self) {
        let Some(check) = self.check else { return future::pending().await };
        let interval = check / LOOKS;
        let (mut reads, mut silent) = (self.heard.reads(), 0);
        loop {
            tokio::time::sleep(interval).await;
            if self.heard.is_ready() || self.heard.reads() != reads {
                (reads, silent) = (self.heard.reads(), 0);
                continue;
            }
            silent += 1;
            if silent == SILENT_LOOKS {
                silent = 0;
                if !self.place.answers(interval).await && self.heard.reads() == reads {
                    return;
                }
            }
        }
    }
}

/// Asks the server to cancel the statement of one session.
///
/// The server closes the connection of a request when it is done with it, and the request waits for that, even if its caller
/// does not: a pooler passes the request on meanwhile, and pgbouncer 1.18 ends with a fault when the client is gone by then.
#[derive(Clone)]
pub(crate) struct Canceller {
    token: tokio_postgres::CancelToken,
    peer: Arc<Peer>,
    tasks: Abort,
}

impl Canceller {
    /// Sends the request, and waits until the server has taken it, for at most [`CANCEL_LIMIT`]. Whether a statement ran,
    /// and was cancelled, is seen in the session only. Goes on for [`CANCEL_GRACE`] when the future is dropped. Failures are
    /// logged for debugging.
    pub(crate) async fn cancel(&self) {
        let canceller = self.clone();
        let given_up = CancellationToken::new();
        let _given_up = given_up.clone().drop_guard();
        let late = async move {
            given_up.cancelled().await;
            tokio::time::sleep(CANCEL_GRACE).await;
        };
        let request = async move {
            tokio::select! {
                sent = tokio::time::timeout(CANCEL_LIMIT, Box::pin(canceller.request())) => match sent {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!("could not send a cancel request: {error}"),
                    Err(_) => tracing::debug!("a cancel request was not taken in time"),
                },
                () = late => {}
            }
        };
        // A request that panicked was not sent, which is seen in the session.
        let _ = self.tasks.spawn(request).await;
    }

    async fn request(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let socket = self.peer.place.open().await?;
        // The server does not answer the request itself, but answers the one for TLS before.
        let socket = Guarded::new(socket, FirstByte::OfTlsAnswer, Arc::default()).closed_by(Close::Server);
        Ok(self.token.cancel_query_raw(socket, self.peer.tls.handshake(&self.peer.certified)).await?)
    }

    /// Sends requests, [`CANCEL_INTERVAL`] apart, until this future is dropped.
    async fn keep_cancelling(&self) -> Infallible {
        loop {
            self.cancel().await;
            tokio::time::sleep(CANCEL_INTERVAL).await;
        }
    }
}

/// Starts the driver of a connection.
pub(super) fn start<S, T>(client: Client, connection: Connection<S, T>, peer: Peer, abort: &Abort) -> Session
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, notifications) = mpsc::channel(MOST_NOTIFICATIONS);
    let cancel = Canceller { token: client.cancel_token(), peer: Arc::new(peer), tasks: abort.clone() };
    let dropped = CancellationToken::new();
    let valve = Arc::new(Valve::default());
    let driver = drive(connection, valve.clone(), sender, cancel.clone(), abort.clone(), dropped.clone());
    abort.spawn(Box::pin(driver));
    Session {
        client,
        cancel,
        notifications,
        valve,
        target: String::new(),
        pins: Pins::default(),
        _dropped: dropped.drop_guard(),
    }
}

/// Moves messages until the connection is closed.
async fn drive<S, T>(
    mut connection: Connection<S, T>,
    valve: Arc<Valve>,
    sender: mpsc::Sender<Notification>,
    cancel: Canceller,
    abort: Abort,
    dropped: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut aborting = Box::pin(async {
        abort.cancelled().await;
        cancel.keep_cancelling().await
    });
    let mut closing = Box::pin(async {
        dropped.cancelled().await;
        tokio::time::sleep(CLOSE_GRACE).await;
        // The connection is closed after the limit, even while the statement runs.
        let _ = tokio::time::timeout(CLOSE_LIMIT, cancel.keep_cancelling()).await;
    });
    let mut giving_up = Box::pin(async {
        abort.finishing().await;
        cancel.peer.falls_silent().await;
    });
    let mut watching = Box::pin(cancel.peer.stops_answering());
    loop {
        let message = tokio::select! {
            biased;
            message = future::poll_fn(|cx| {
                if valve.stops(cx) { Poll::Pending } else { connection.poll_message(cx) }
            }) => message,
            never = &mut aborting => match never {},
            () = &mut closing => return,
            () = &mut giving_up => {
                tracing::warn!("{} does not answer any more: not waiting for it", cancel.peer.shown);
                return;
            }
            () = &mut watching => {
                tracing::warn!("{} does not answer any more: closing the connection", cancel.peer.shown);
                return;
            }
        };
        match message {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                // Lost when the session is being closed, or when MOST_NOTIFICATIONS are unread.
                let _ = sender.try_send(notification);
            }
            Some(Ok(AsyncMessage::Notice(notice))) => report(&notice),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!("connection lost: {error}");
                return;
            }
            None => return,
        }
    }
}

/// Logs a notice of the server: a warning of schema londiste as WARNING with its HINT, any other for debugging.
fn report(notice: &DbError) {
    if notice.code().code() != OPERATOR_WARNING {
        tracing::debug!("{}: {}", notice.severity(), notice.message());
        return;
    }
    let hint = notice.hint().map(|hint| format!("\nHINT: {}", one_line(hint))).unwrap_or_default();
    tracing::warn!("{}", Lines(format!("{}{hint}", one_line(notice.message()))));
}
