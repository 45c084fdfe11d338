//! Connection strings with libpq's whole meaning: keywords or URI, service file, environment, password file, several
//! hosts. Pure: variables and files are read through an [`Environment`]. Sockets are opened by `connect`.

mod environment;
mod host;
mod keyword;
mod passfile;
mod service;
mod settings;
mod ssl;
mod syntax;

use std::fmt;
use std::time::Duration;

pub use self::environment::Environment;
pub(super) use self::host::{Address, Host, SOCKET_DIRECTORIES};
use self::settings::{Settings, quoted};
pub(super) use self::ssl::{CertMode, Ssl, SslMode, TlsFile, TlsVersion};
use crate::error::{Error, Result, Role};

/// The default of `connect_timeout`. libpq's default is to wait for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The default of [`ClientSettings::connection_check`], as that of the configuration key.
const CONNECTION_CHECK: Duration = Duration::from_secs(30);

/// `target_session_attrs`: which kind of server or session is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Target {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// `channel_binding`: whether authentication must be, may be, or is not bound to the TLS channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ChannelBinding {
    Disable,
    #[default]
    Prefer,
    Require,
}

/// The settings of TCP keepalive; `None` is the operating system's default.
#[derive(Clone, Debug)]
pub(super) struct Keepalives {
    pub(super) on: bool,
    pub(super) idle: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) count: Option<u32>,
}

/// A connection string with all its values. `Display` shows host, port, database and user, as far as the string, the
/// service or the environment gives them; never a password.
#[derive(Clone)]
pub struct Conninfo {
    /// `host=.. hostaddr=.. port=..` as given, for messages.
    place: String,
    /// `dbname=.. user=..` as given, for messages.
    identity: String,
    pub(super) hosts: Vec<Host>,
    pub(super) shuffle: bool,
    pub(super) dbname: String,
    pub(super) user: String,
    pub(super) options: Option<String>,
    pub(super) application_name: String,
    pub(super) ssl: Ssl,
    pub(super) channel_binding: ChannelBinding,
    pub(super) target: Target,
    pub(super) require_peer: Option<String>,
    /// `None` waits for ever.
    pub(super) connect_timeout: Option<Duration>,
    pub(super) tcp_user_timeout: Option<Duration>,
    pub(super) keepalives: Keepalives,
    /// As [`ClientSettings::connection_check`].
    pub(super) connection_check: Option<Duration>,
    /// Reasons for which something was ignored, such as a password file that group or others can read.
    pub(super) warnings: Vec<String>,
}

/// What a session has by the program's own settings, where the connection string does not say otherwise.
#[derive(Clone, Copy, Debug)]
pub struct ClientSettings<'a> {
    /// Sent where neither the string, the service nor the environment gives a name.
    pub application_name: &'a str,
    /// How long a server may be silent that owes an answer, before the session is given up unless the server answers on a new
    /// connection. The default of TCP keepalive too. `None` waits for ever.
    pub connection_check: Option<Duration>,
}

impl<'a> From<&'a str> for ClientSettings<'a> {
    /// The name, with the default of key `connection_check`.
    fn from(application_name: &'a str) -> Self {
        ClientSettings { application_name, connection_check: Some(CONNECTION_CHECK) }
    }
}

impl<'a> From<(&'a str, Option<Duration>)> for ClientSettings<'a> {
    fn from((application_name, connection_check): (&'a str, Option<Duration>)) -> Self {
        ClientSettings { application_name, connection_check }
    }
}

impl Conninfo {
    /// Reads a connection string in the environment of this process. Fails with [`Error::Conninfo`].
    pub(crate) fn parse<'a>(role: Role, text: &str, client: impl Into<ClientSettings<'a>>) -> Result<Conninfo> {
        Conninfo::parse_in(&Environment::of_process(), role, text, client)
    }

    /// Why a password file was ignored.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Reads a connection string in a given environment. Fails with [`Error::Conninfo`].
    pub fn parse_in<'a>(
        environment: &Environment,
        role: Role,
        text: &str,
        client: impl Into<ClientSettings<'a>>,
    ) -> Result<Conninfo> {
        let client = client.into();
        Settings::collect(text, environment)
            .and_then(|settings| understand(&settings, environment, client))
            .map_err(|message| Error::Conninfo { role, message })
    }
}

/// The values of a connection string, of its service and of the environment, as variables for the programs of PostgreSQL; `None` for
/// a variable that must not be set. Keywords without a variable are left out. Fails with [`Error::Conninfo`].
pub(crate) fn variables(role: Role, text: &str) -> Result<Vec<(&'static str, Option<String>)>> {
    let settings =
        Settings::collect(text, &Environment::of_process()).map_err(|message| Error::Conninfo { role, message })?;
    let of = |keyword: &keyword::Keyword| {
        // The values of the service are in the settings.
        let value = settings.get(keyword.name).filter(|_| keyword.name != "service");
        Some((keyword.variable?, value.map(str::to_owned)))
    };
    Ok(keyword::KEYWORDS.iter().filter_map(of).collect())
}

/// The name of the database that a connection string asks for, where it names one. Fails with [`Error::Conninfo`].
pub(crate) fn database(role: Role, text: &str) -> Result<Option<String>> {
    let settings =
        Settings::collect(text, &Environment::of_process()).map_err(|message| Error::Conninfo { role, message })?;
    Ok(settings.get("dbname").map(str::to_owned))
}

impl Conninfo {
    /// The text for messages about a session on `host`. Where the string names several servers (`count`), only `host` is
    /// shown.
    pub(super) fn shown_for(&self, host: &Host, count: usize) -> String {
        if count == 1 {
            return self.to_string();
        }
        let place = match &host.address {
            Address::Tcp { name: Some(name), .. } => format!("host={} port={}", quoted(name), host.port),
            Address::Tcp { name: None, ip: Some(ip) } => format!("hostaddr={ip} port={}", host.port),
            Address::Socket(path) => format!("host={} port={}", quoted(&path.to_string_lossy()), host.port),
            Address::Tcp { name: None, ip: None } | Address::UsualSocket => format!("port={}", host.port),
        };
        joined(&place, &self.identity)
    }
}

impl fmt::Display for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.place, &self.identity))
    }
}

fn understand(settings: &Settings, environment: &Environment, client: ClientSettings<'_>) -> Result<Conninfo, String> {
    refuse_unsupported(settings)?;
    let user = settings.get("user").or(environment.user.as_deref());
    let user = user.ok_or("this process has no user name; add user=NAME")?.to_owned();
    let dbname = settings.get("dbname").unwrap_or(&user).to_owned();
    let mut warnings = Vec::new();
    let mut hosts = host::hosts(settings)?;
    host::add_passwords(settings, &mut hosts, &user, &dbname, environment, &mut warnings);
    let application_name = settings
        .get("application_name")
        .or(settings.get("fallback_application_name"))
        .unwrap_or(client.application_name);
    let hosts_order = settings.word("load_balance_hosts", &[("disable", false), ("random", true)])?;
    // A keyword that is not set has such a part of the time after which a silent server is given up: 1/3 + 4 * 1/6.
    let check = client.connection_check;
    let or_part = |keyword: &str, unit: fn(u64) -> Duration, part: u32| match settings.get(keyword) {
        None => Ok(check.map(|check| (check / part).max(Duration::from_secs(1)))),
        Some(_) => settings.positive(keyword, unit),
    };
    Ok(Conninfo {
        place: settings.shown(&["host", "hostaddr", "port"]),
        identity: settings.shown(&["dbname", "user"]),
        hosts,
        shuffle: hosts_order,
        dbname,
        user,
        options: settings.get("options").map(str::to_owned),
        application_name: application_name.to_owned(),
        ssl: ssl::ssl(settings, environment)?,
        channel_binding: settings.word(
            "channel_binding",
            &[
                ("disable", ChannelBinding::Disable),
                ("prefer", ChannelBinding::Prefer),
                ("require", ChannelBinding::Require),
            ],
        )?,
        target: target(settings)?,
        require_peer: settings.get("requirepeer").map(str::to_owned),
        connect_timeout: match settings.number::<i32>("connect_timeout")? {
            None => Some(CONNECT_TIMEOUT),
            Some(seconds) => u64::try_from(seconds).ok().filter(|s| *s > 0).map(Duration::from_secs),
        },
        tcp_user_timeout: or_part("tcp_user_timeout", Duration::from_millis, 1)?,
        keepalives: Keepalives {
            on: settings.number::<i32>("keepalives")? != Some(0),
            idle: or_part("keepalives_idle", Duration::from_secs, 3)?,
            interval: or_part("keepalives_interval", Duration::from_secs, 6)?,
            count: match settings.number::<i32>("keepalives_count")? {
                None => check.map(|_| 4),
                Some(count) => u32::try_from(count).ok().filter(|count| *count > 0),
            },
        },
        connection_check: check,
        warnings,
    })
}

/// Refuses keywords that are not supported and that would weaken the session or change its meaning if they were ignored.
fn refuse_unsupported(settings: &Settings) -> Result<(), String> {
    let set = |keyword: &str| settings.get(keyword);
    if set("gssencmode") == Some("require") {
        return Err("gssencmode=require is not supported; use sslmode=require".to_owned());
    }
    settings.word("gssencmode", &[("disable", ()), ("prefer", ()), ("require", ())])?;
    if set("require_auth").is_some() {
        return Err("\"require_auth\" is not supported; use channel_binding=require to keep a server from asking for \
                    the bare password"
            .to_owned());
    }
    if set("scram_client_key").is_some() || set("scram_server_key").is_some() {
        return Err("scram_client_key and scram_server_key are not supported; use a password".to_owned());
    }
    if set("replication").is_some_and(|value| !matches!(value, "0" | "no" | "off" | "false")) {
        return Err("\"replication\" asks for a walsender, which knows no SQL; leave it out".to_owned());
    }
    if set("min_protocol_version").is_some_and(|version| version != "3.0") {
        return Err("only version 3.0 of the protocol is supported; leave \"min_protocol_version\" out".to_owned());
    }
    Ok(())
}

fn target(settings: &Settings) -> Result<Target, String> {
    settings.word(
        "target_session_attrs",
        &[
            ("any", Target::Any),
            ("read-write", Target::ReadWrite),
            ("read-only", Target::ReadOnly),
            ("primary", Target::Primary),
            ("standby", Target::Standby),
            ("prefer-standby", Target::PreferStandby),
        ],
    )
}

/// Two parts of a connection string with a blank between them; either may be empty.
fn joined(a: &str, b: &str) -> String {
    format!("{a} {b}").trim().to_owned()
}

#[cfg(test)]
mod tests;
