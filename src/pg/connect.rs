//! Opening a session: tries the servers of a connection string one after the other, with and without TLS as `sslmode` says.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio_postgres::config::{ChannelBinding as WireBinding, SslMode as WireSslMode, SslNegotiation};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::conninfo::{self, Address, ChannelBinding, Conninfo, Host, SslMode, Target};
use super::failure::{self, Cause, Failure};
use super::login_guard::{FirstByte, Guarded, Heard};
use super::pinned::{self, Scope};
use super::session::{self, PATIENCE, Peer, Session};
use super::socket::{Place, Server};
use super::tls::Connector;
use crate::error::{Error, Result, Role};
use crate::task::Abort;
use crate::text::one_line;

/// Opens a session on the first server of `conninfo` that accepts the login and fits `target_session_attrs`. Logs the
/// warnings of `conninfo`.
///
/// Fails with [`Error::Conninfo`] (a TLS file cannot be used), [`Error::Connect`] (no server would do) or
/// [`Error::Aborted`] (`abort` fired, or [`PATIENCE`] has passed since the work was asked to finish).
pub(crate) async fn open(role: Role, conninfo: &Conninfo, abort: &Abort) -> Result<Session> {
    for warning in &conninfo.warnings {
        tracing::warn!("{role}: {warning}");
    }
    tokio::select! {
        biased;
        () = abort.cancelled() => Err(Error::Aborted),
        // An attempt may be dropped at any point: no statement has run yet.
        () = patience_after_finish(abort) => Err(Error::Aborted),
        session = Box::pin(try_hosts(role, conninfo, abort)) => session,
    }
}

/// Returns [`PATIENCE`] after the work was asked to finish.
async fn patience_after_finish(abort: &Abort) {
    abort.finishing().await;
    tokio::time::sleep(PATIENCE).await;
}

async fn try_hosts(role: Role, conninfo: &Conninfo, abort: &Abort) -> Result<Session> {
    let tls = connector(role, conninfo)?;
    let mut hosts: Vec<&Host> = conninfo.hosts.iter().collect();
    if conninfo.shuffle {
        hosts.shuffle(&mut rand::rng());
    }
    let mut failures = Vec::new();
    'search: for target in conninfo.target.rounds() {
        for host in &hosts {
            for server in servers(conninfo, host, &mut failures).await {
                let shown = format!("{role} ({})", conninfo.shown_for(host, hosts.len()));
                let attempt = Attempt { conninfo, host, server, target: *target, abort, shown: &shown };
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
    let (hint, source) = match Failure::of(failures) {
        Some(failure) => (failure.advice(), failure.into_source()),
        None => ("", "the connection string names no server".into()),
    };
    Err(Error::Connect { role, target: conninfo.to_string(), hint, source })
}

/// Reads the files of TLS. A file that cannot be used is an error from `sslmode=require` on; below, it is logged and the
/// connection is made without TLS.
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

/// The addresses of a host. Where its name cannot be looked up, there are none, and the reason is added to `failures`.
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

/// The first usual directory that has a server's socket for `port`, else the first that exists.
fn usual_directory(port: u16) -> PathBuf {
    let directories = || conninfo::SOCKET_DIRECTORIES.iter().map(PathBuf::from);
    let with_socket = directories().find(|directory| directory.join(format!(".s.PGSQL.{port}")).exists());
    with_socket.or_else(|| directories().find(|directory| directory.exists())).unwrap_or_else(|| "/tmp".into())
}

/// Bounds a step by `connect_timeout`, which holds for each look-up and for each attempt.
async fn within<T>(limit: Option<Duration>, step: impl Future<Output = T>) -> Result<T, Cause> {
    let Some(limit) = limit else { return Ok(step.await) };
    tokio::time::timeout(limit, step)
        .await
        .map_err(|_| Cause::Unreachable(format!("no answer within {} s (connect_timeout)", limit.as_secs())))
}

/// What a failed attempt ends.
enum GiveUp {
    /// The attempts on this server; the next one is tried.
    Server,
    /// The search: no other server is tried.
    Search,
}

/// Which options go with the login.
#[derive(Clone, Copy)]
enum Options {
    /// The connection string's and the pinned settings.
    Pinned,
    /// The connection string's only.
    Given,
}

/// One server to be tried for one kind of session.
struct Attempt<'a> {
    conninfo: &'a Conninfo,
    host: &'a Host,
    server: Server,
    target: Target,
    abort: &'a Abort,
    /// The role and the server, for messages.
    shown: &'a str,
}

impl Attempt<'_> {
    /// Tries with and without TLS, as `sslmode` says. Adds the cause of each failed attempt to `failures`.
    async fn make(&self, tls: &Connector, failures: &mut Vec<(String, Cause)>) -> Result<Session, GiveUp> {
        let mut give_up = GiveUp::Server;
        for mode in self.wire_modes(tls) {
            let tls = tls.for_one_session();
            let is_connected = AtomicBool::new(false);
            let attempt = self.connect(*mode, &tls, &is_connected);
            let limit = self.conninfo.connect_timeout;
            let cause = match within(limit, Box::pin(attempt)).await {
                Ok(Ok(session)) => return Ok(session),
                Err(_) if is_connected.load(Ordering::Relaxed) => Cause::Silent(limit.unwrap_or_default().as_secs()),
                Ok(Err(cause)) | Err(cause) => cause,
            };
            // The next mode differs from this one only by TLS, so it is tried only where the server has refused this
            // one, and, for `prefer`, where TLS was used.
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

    /// The modes of TLS to try, in order.
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

    /// Names the server of an attempt in a message, with or without TLS where both are tried.
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

    /// Sets `is_connected` as soon as the server has taken the connection.
    async fn connect(&self, mode: WireSslMode, tls: &Connector, is_connected: &AtomicBool) -> Result<Session, Cause> {
        if let (Server::Socket(directory), Some(peer)) = (&self.server, &self.conninfo.require_peer) {
            check_peer(directory, self.host.port, peer).await?;
        }
        let (mut session, sent) = match self.log_in(mode, tls, Options::Pinned, is_connected).await {
            Err(cause) if pinned::are_refused(&cause) => (
                self.log_in(mode, tls, Options::Given, is_connected)
                    .await
                    .map_err(|cause| self.about_options(cause))?,
                Options::Given,
            ),
            session => (session?, Options::Pinned),
        };
        check_target(&session.client, self.target).await?;
        session.pins = pinned::settle(&session.client).await?;
        match (&self.conninfo.options, sent) {
            (Some(options), Options::Pinned) if session.pins.scope != Scope::Session => {
                Err(Cause::Unusable(options_are_lost("has left out", options)))
            }
            _ => Ok(session),
        }
    }

    /// What a refusal means that came for the pinned options and came again for those of the connection string.
    fn about_options(&self, cause: Cause) -> Cause {
        match &self.conninfo.options {
            Some(options) if pinned::are_refused(&cause) => {
                Cause::Unusable(format!("{}; {}", cause.text(), options_are_lost("may not take", options)))
            }
            _ => cause,
        }
    }

    async fn log_in(
        &self,
        mode: WireSslMode,
        tls: &Connector,
        options: Options,
        is_connected: &AtomicBool,
    ) -> Result<Session, Cause> {
        let place = Place {
            server: self.server.clone(),
            port: self.host.port,
            tcp_user_timeout: self.conninfo.tcp_user_timeout,
            keepalives: self.conninfo.keepalives.clone(),
        };
        let socket = place.open().await.map_err(|error| match &self.server {
            Server::Socket(directory) => failure::at_socket(directory, self.host.port, Cause::of_io(&error)),
            Server::Ip(_) => Cause::of_io(&error),
        })?;
        is_connected.store(true, Ordering::Relaxed);
        let asks_for_tls = mode != WireSslMode::Disable && !self.conninfo.ssl.direct;
        let first = if asks_for_tls { FirstByte::OfTlsAnswer } else { FirstByte::OfMessage };
        let heard = Arc::<Heard>::default();
        let socket = Guarded::new(socket, first, heard.clone());
        let certified = match &self.server {
            Server::Socket(_) => String::new(),
            Server::Ip(ip) => self.certificate_name(*ip),
        };
        let (client, connection) =
            self.config(mode, options).connect_raw(socket, tls.handshake(&certified)).await.map_err(Cause::of)?;
        tls.check().map_err(Cause::Unusable)?;
        let peer = Peer {
            place,
            heard,
            check: self.conninfo.connection_check,
            tls: tls.clone(),
            certified,
            shown: self.shown.to_owned(),
        };
        Ok(session::start(client, connection, peer, self.abort))
    }

    /// The settings of the login for the client library. The socket is opened here, so neither host nor port is among them.
    fn config(&self, mode: WireSslMode, wanted: Options) -> tokio_postgres::Config {
        let Conninfo { user, dbname, options, application_name, ssl, .. } = self.conninfo;
        let mut config = tokio_postgres::Config::new();
        config.user(user).dbname(dbname).application_name(application_name).ssl_mode(mode);
        if let Some(password) = &self.host.password {
            config.password(password);
        }
        match (options, wanted) {
            (None, Options::Given) => {}
            (Some(given), Options::Given) => {
                config.options(given);
            }
            (None, Options::Pinned) => {
                config.options(pinned::login_options());
            }
            // Of a setting that is given twice the server takes the last.
            (Some(given), Options::Pinned) => {
                config.options(format!("{given} {}", pinned::login_options()));
            }
        }
        if ssl.direct && mode != WireSslMode::Disable {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        config.channel_binding(match self.conninfo.channel_binding {
            ChannelBinding::Disable => WireBinding::Disable,
            ChannelBinding::Prefer => WireBinding::Prefer,
            ChannelBinding::Require => WireBinding::Require,
        });
        config
    }

    /// The name that the server's certificate has to have.
    fn certificate_name(&self, ip: IpAddr) -> String {
        match &self.host.address {
            Address::Tcp { name: Some(name), .. } => name.clone(),
            _ => ip.to_string(),
        }
    }
}

/// Why a session cannot be used whose login took options that have not reached the server, or did not take them.
fn options_are_lost(what: &str, options: &str) -> String {
    format!(
        "a connection pooler {what} the options of the connection string ({}): give these settings to the role (\"alter role \
         ... set\") and take the options away",
        one_line(options)
    )
}

/// Checks, for `requirepeer`, which user's process listens on a socket, by a connection on which nothing is sent.
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

impl Target {
    /// The kinds of session to look for: all servers are tried for the first kind, then all for the next.
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

/// Asks the server whether the session is of the wanted kind. If not, the next server is tried.
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
    if fits { Ok(()) } else { Err(Cause::Unfit(objection)) }
}
