//! One open connection and the task that drives it.
//!
//! The driver owns the socket. It ends by itself when the client is dropped and everything sent has been answered. A
//! statement whose future was dropped is still running on the server then, so a client that stays busy after it was
//! dropped gets its statement cancelled:
//!
//! 1. the caller drops the session while a statement runs;
//! 2. the driver waits [`CLOSE_GRACE`] for the answer;
//! 3. it asks the server to cancel, again and again, until the connection has closed or [`CLOSE_LIMIT`] is over.
//!
//! When `abort` fires, step 3 comes at once and without limit.
//!
//! The client library reads some messages ahead. Whoever reads big ones holds the driver ([`Valve`]) while at work.

use std::convert::Infallible;
use std::future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use rand::seq::SliceRandom;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::config::{ChannelBinding as WireBinding, SslMode as WireSslMode, SslNegotiation};
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, Connection, Notification, SimpleQueryMessage};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::conninfo::{self, Address, ChannelBinding, Conninfo, Host, SslMode, Target};
use super::failure::{self, Cause, Failure};
use super::tls::Connector;
use crate::error::{Error, Result, Role};

/// How long a dropped session may take to finish what it has sent.
const CLOSE_GRACE: Duration = Duration::from_millis(200);

/// How long the driver of a dropped session goes on trying to end its statement.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// Time between two requests to cancel.
const CANCEL_INTERVAL: Duration = Duration::from_secs(1);

/// How long one request to cancel may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// SQLSTATE of the warnings of schema londiste that somebody has to see.
const OPERATOR_WARNING: &str = "01L01";

/// An open session. Dropping it closes the connection.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) cancel: Canceller,
    pub(crate) notifications: mpsc::UnboundedReceiver<Notification>,
    pub(crate) valve: Arc<Valve>,
    /// The connection string's host, port, database and user, with the host that was taken.
    pub(crate) target: String,
    /// Tells the driver that nobody waits for answers any more.
    _dropped: DropGuard,
}

/// Holds a session's driver: nothing is read or sent.
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
        // It may have been opened before the registration.
        self.shut.load(Ordering::Acquire)
    }
}

/// Asks the server to cancel the statement of one session.
#[derive(Clone)]
pub(crate) struct Canceller {
    token: tokio_postgres::CancelToken,
    tls: Connector,
}

impl Canceller {
    /// Sends the request. Whether a statement ran, and was cancelled, is seen in the session only.
    pub(crate) async fn cancel(&self) {
        let request = self.token.cancel_query(self.tls.clone());
        match tokio::time::timeout(CANCEL_LIMIT, Box::pin(request)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("could not send a cancel request: {error}"),
            Err(_) => tracing::debug!("could not send a cancel request in time"),
        }
    }

    /// Cancels until somebody stops polling.
    async fn keep_cancelling(&self) -> Infallible {
        loop {
            self.cancel().await;
            tokio::time::sleep(CANCEL_INTERVAL).await;
        }
    }
}

/// Opens a session on the first server of `conninfo` that answers and is of the wanted kind.
pub(crate) async fn open(role: Role, conninfo: &Conninfo, abort: &CancellationToken) -> Result<Session> {
    for warning in &conninfo.warnings {
        tracing::warn!("{role}: {warning}");
    }
    tokio::select! {
        biased;
        () = abort.cancelled() => Err(Error::Aborted),
        session = Box::pin(try_hosts(role, conninfo, abort)) => session,
    }
}

async fn try_hosts(role: Role, conninfo: &Conninfo, abort: &CancellationToken) -> Result<Session> {
    let tls = connector(role, conninfo)?;
    let mut hosts: Vec<&Host> = conninfo.hosts.iter().collect();
    if conninfo.shuffle {
        hosts.shuffle(&mut rand::rng());
    }
    let mut failures = Vec::new();
    'search: for target in conninfo.target.rounds() {
        for host in &hosts {
            for server in servers(conninfo, host, &mut failures).await {
                let attempt = Attempt { conninfo, host, server, target: *target, abort };
                match attempt.make(&tls, &mut failures).await {
                    Ok(mut session) => {
                        session.target = conninfo.shown_for(host, hosts.len());
                        return Ok(session);
                    }
                    Err(GiveUp::Server) => {}
                    Err(GiveUp::Search) => break 'search,
                }
            }
        }
    }
    Err(Error::Connect {
        role,
        target: conninfo.to_string(),
        source: match Failure::of(failures) {
            Some(failure) => failure.into_source(),
            None => "the connection string names no server".into(),
        },
    })
}

/// Reads certificates. What is wrong with them ends the search, unless TLS is only a preference.
fn connector(role: Role, conninfo: &Conninfo) -> Result<Connector> {
    let over_tcp = conninfo.hosts.iter().any(|host| matches!(host.address, Address::Tcp { .. }));
    if !over_tcp || conninfo.ssl.mode == SslMode::Disable {
        return Ok(Connector::none());
    }
    match Connector::new(&conninfo.ssl) {
        Ok(connector) => Ok(connector),
        Err(message) if conninfo.ssl.mode < SslMode::Require => {
            tracing::warn!("{role}: connecting without TLS: {message}");
            Ok(Connector::none())
        }
        Err(message) => Err(Error::Conninfo { role, message }),
    }
}

/// One address of a host.
#[derive(Clone)]
enum Server {
    Ip(IpAddr),
    Socket(PathBuf),
}

/// The addresses of a host; a name that cannot be looked up is a failure.
async fn servers(conninfo: &Conninfo, host: &Host, failures: &mut Vec<(String, Cause)>) -> Vec<Server> {
    match &host.address {
        Address::Tcp { ip: Some(ip), .. } => vec![Server::Ip(*ip)],
        Address::Socket(directory) => vec![Server::Socket(directory.clone())],
        Address::UsualSocket => vec![Server::Socket(usual_directory(host.port))],
        Address::Tcp { ip: None, name } => {
            let name = name.as_deref().unwrap_or("localhost");
            match within(conninfo.connect_timeout, tokio::net::lookup_host((name, host.port))).await {
                Ok(Ok(found)) => found.map(|address| Server::Ip(address.ip())).collect(),
                Ok(Err(error)) => {
                    let text = format!("could not look up host \"{name}\": {error}");
                    failures.push((format!("{name} port {}", host.port), Cause::Unreachable(text)));
                    Vec::new()
                }
                Err(cause) => {
                    failures.push((format!("{name} port {}", host.port), cause));
                    Vec::new()
                }
            }
        }
    }
}

/// The first usual directory that has a server's socket, else the first that exists.
fn usual_directory(port: u16) -> PathBuf {
    let directories = || conninfo::SOCKET_DIRECTORIES.iter().map(PathBuf::from);
    let with_socket = directories().find(|directory| directory.join(format!(".s.PGSQL.{port}")).exists());
    with_socket.or_else(|| directories().find(|directory| directory.exists())).unwrap_or_else(|| "/tmp".into())
}

/// Bounds a step by the connection string's time limit.
async fn within<T>(limit: Option<Duration>, step: impl Future<Output = T>) -> Result<T, Cause> {
    let Some(limit) = limit else { return Ok(step.await) };
    tokio::time::timeout(limit, step)
        .await
        .map_err(|_| Cause::Unreachable(format!("no answer within {} s (connect_timeout)", limit.as_secs())))
}

/// How far a failed attempt reaches.
enum GiveUp {
    /// Another server may do.
    Server,
    /// No other server is asked.
    Search,
}

/// One server to be tried for one kind of session.
struct Attempt<'a> {
    conninfo: &'a Conninfo,
    host: &'a Host,
    server: Server,
    target: Target,
    abort: &'a CancellationToken,
}

impl Attempt<'_> {
    /// Tries with and without TLS, as sslmode says.
    async fn make(&self, tls: &Connector, failures: &mut Vec<(String, Cause)>) -> Result<Session, GiveUp> {
        let mut give_up = GiveUp::Server;
        for mode in self.wire_modes(tls) {
            let tls = tls.for_one_session();
            let attempt = self.connect(*mode, &tls);
            let cause = match within(self.conninfo.connect_timeout, Box::pin(attempt)).await.and_then(|result| result) {
                Ok(session) => return Ok(session),
                Err(cause) => cause,
            };
            // What comes next differs from this one only by TLS; a server that was never asked for a login, or that
            // was asked without TLS already, has nothing new to say.
            let refused = matches!(cause, Cause::Server(_) | Cause::Unusable(_));
            let repeat = match mode {
                WireSslMode::Prefer => tls.was_used() && refused,
                WireSslMode::Disable => refused,
                _ => false,
            };
            give_up = if cause.is_final() { GiveUp::Search } else { GiveUp::Server };
            failures.push((self.place(*mode, &tls), cause));
            if !repeat {
                break;
            }
        }
        Err(give_up)
    }

    /// The modes to try, in order.
    fn wire_modes(&self, tls: &Connector) -> &'static [WireSslMode] {
        if matches!(self.server, Server::Socket(_)) || tls.is_none() {
            return &[WireSslMode::Disable];
        }
        match self.conninfo.ssl.mode {
            SslMode::Disable => &[WireSslMode::Disable],
            SslMode::Allow => &[WireSslMode::Disable, WireSslMode::Require],
            SslMode::Prefer => &[WireSslMode::Prefer, WireSslMode::Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[WireSslMode::Require],
        }
    }

    /// The place of an attempt for a message.
    fn place(&self, mode: WireSslMode, tls: &Connector) -> String {
        let place = match (&self.server, &self.host.address) {
            (Server::Socket(directory), _) => format!("{}/.s.PGSQL.{}", directory.display(), self.host.port),
            (Server::Ip(ip), Address::Tcp { name: Some(name), .. }) if *name != ip.to_string() => {
                format!("{name} ({ip}) port {}", self.host.port)
            }
            (Server::Ip(ip), _) => format!("{ip} port {}", self.host.port),
        };
        let several = self.wire_modes(tls).len() > 1;
        match mode {
            WireSslMode::Disable if several => format!("{place} without TLS"),
            WireSslMode::Require | WireSslMode::Prefer if several && tls.was_used() => format!("{place} with TLS"),
            _ => place,
        }
    }

    async fn connect(&self, mode: WireSslMode, tls: &Connector) -> Result<Session, Cause> {
        if let (Server::Socket(directory), Some(peer)) = (&self.server, &self.conninfo.require_peer) {
            check_peer(directory, self.host.port, peer).await?;
        }
        let config = self.config(mode);
        let (client, connection) = config.connect(tls.clone()).await.map_err(|error| match &self.server {
            Server::Socket(directory) => failure::at_socket(directory, self.host.port, Cause::of(error)),
            Server::Ip(_) => Cause::of(error),
        })?;
        tls.check().map_err(Cause::Unusable)?;
        let session = start(client, connection, tls.clone(), self.abort.clone());
        check_target(&session.client, self.target).await?;
        read_committed(&session.client).await?;
        Ok(session)
    }

    /// The settings for the client library, which gets exactly one address.
    fn config(&self, mode: WireSslMode) -> tokio_postgres::Config {
        let Conninfo { user, dbname, options, application_name, ssl, keepalives, .. } = self.conninfo;
        let mut config = tokio_postgres::Config::new();
        config.user(user).dbname(dbname).application_name(application_name).port(self.host.port).ssl_mode(mode);
        match &self.server {
            Server::Socket(directory) => config.host_path(directory),
            Server::Ip(ip) => config.host(self.certificate_name(*ip)).hostaddr(*ip),
        };
        if let Some(password) = &self.host.password {
            config.password(password);
        }
        if let Some(options) = options {
            config.options(options);
        }
        if ssl.direct && mode != WireSslMode::Disable {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        config.channel_binding(match self.conninfo.channel_binding {
            ChannelBinding::Disable => WireBinding::Disable,
            ChannelBinding::Prefer => WireBinding::Prefer,
            ChannelBinding::Require => WireBinding::Require,
        });
        if let Some(limit) = self.conninfo.tcp_user_timeout {
            config.tcp_user_timeout(limit);
        }
        config.keepalives(keepalives.on);
        keepalives.idle.map(|idle| config.keepalives_idle(idle));
        keepalives.interval.map(|interval| config.keepalives_interval(interval));
        keepalives.count.map(|count| config.keepalives_retries(count));
        config
    }

    /// The name that the server's certificate is made for.
    fn certificate_name(&self, ip: IpAddr) -> String {
        match &self.host.address {
            Address::Tcp { name: Some(name), .. } => name.clone(),
            _ => ip.to_string(),
        }
    }
}

/// Checks who listens on a socket before anything is sent.
async fn check_peer(directory: &Path, port: u16, wanted: &str) -> Result<(), Cause> {
    let path = directory.join(format!(".s.PGSQL.{port}"));
    let failed = |error: std::io::Error| Cause::Unreachable(format!("{}: {error}", path.display()));
    let stream = tokio::net::UnixStream::connect(&path).await.map_err(failed)?;
    let uid = stream.peer_cred().map_err(failed)?.uid();
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|user| user.name);
    if user.as_deref() == Some(wanted) {
        return Ok(());
    }
    let found = user.unwrap_or_else(|| uid.to_string());
    Err(Cause::Unusable(format!("requirepeer names \"{wanted}\", but the server runs as \"{found}\"")))
}

/// Starts the driver of a connection.
fn start<S, T>(client: Client, connection: Connection<S, T>, tls: Connector, abort: CancellationToken) -> Session
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, notifications) = mpsc::unbounded_channel();
    let cancel = Canceller { token: client.cancel_token(), tls };
    let dropped = CancellationToken::new();
    let valve = Arc::new(Valve::default());
    tokio::spawn(Box::pin(drive(connection, valve.clone(), sender, cancel.clone(), abort, dropped.clone())));
    Session { client, cancel, notifications, valve, target: String::new(), _dropped: dropped.drop_guard() }
}

/// Moves messages until the connection is closed.
async fn drive<S, T>(
    mut connection: Connection<S, T>,
    valve: Arc<Valve>,
    sender: mpsc::UnboundedSender<Notification>,
    cancel: Canceller,
    abort: CancellationToken,
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
        // Ends after the limit, whatever the server does.
        let _ = tokio::time::timeout(CLOSE_LIMIT, cancel.keep_cancelling()).await;
    });
    loop {
        let message = tokio::select! {
            biased;
            message = future::poll_fn(|cx| {
                if valve.stops(cx) { Poll::Pending } else { connection.poll_message(cx) }
            }) => message,
            never = &mut aborting => match never {},
            () = &mut closing => return,
        };
        match message {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                // Nobody listens any more: the session is being closed.
                let _ = sender.send(notification);
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

/// Logs what the server says beside its answers: a warning of schema londiste as WARNING with its HINT, all else for debugging.
fn report(notice: &DbError) {
    if notice.code().code() != OPERATOR_WARNING {
        tracing::debug!("{}: {}", notice.severity(), notice.message());
        return;
    }
    match notice.hint() {
        Some(hint) => tracing::warn!("{}\nHINT: {hint}", notice.message()),
        None => tracing::warn!("{}", notice.message()),
    }
}

impl Target {
    /// The kinds of session to look for, one after the other.
    fn rounds(self) -> &'static [Target] {
        match self {
            Target::Any => &[Target::Any],
            Target::ReadWrite => &[Target::ReadWrite],
            Target::ReadOnly => &[Target::ReadOnly],
            Target::Primary => &[Target::Primary],
            Target::Standby => &[Target::Standby],
            Target::PreferStandby => &[Target::Standby, Target::Any],
        }
    }
}

/// Makes transactions read committed where the database or the user has another default: a tick must not come from an old
/// snapshot, and a consumer that reads events in serializable transactions makes those of the writers fail.
async fn read_committed(client: &Client) -> Result<(), Cause> {
    // A pooler may give the session to others later, so nothing is set without need.
    let sql = "select pg_catalog.set_config('default_transaction_isolation', 'read committed', false)
               where pg_catalog.current_setting('default_transaction_isolation') operator(pg_catalog.<>) 'read committed'";
    client.simple_query(sql).await.map(drop).map_err(Cause::of)
}

/// Asks the server what kind of session this is.
async fn check_target(client: &Client, target: Target) -> Result<(), Cause> {
    let (question, wanted, objection) = match target {
        Target::Any | Target::PreferStandby => return Ok(()),
        Target::ReadWrite => ("show transaction_read_only", "off", "the session is read-only"),
        Target::ReadOnly => ("show transaction_read_only", "on", "the session is not read-only"),
        Target::Primary => ("select pg_catalog.pg_is_in_recovery()", "f", "the server is a standby"),
        Target::Standby => ("select pg_catalog.pg_is_in_recovery()", "t", "the server is not a standby"),
    };
    let answer = client.simple_query(question).await.map_err(Cause::of)?;
    let fits =
        answer.iter().any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some(wanted)));
    if fits { Ok(()) } else { Err(Cause::Unreachable(format!("{objection} (target_session_attrs)"))) }
}
