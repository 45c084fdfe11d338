//! Connection strings with libpq's whole meaning: keywords or URI, service file, environment, password file, several
//! hosts. Pure: what lies outside of the string comes in through an [`Environment`]. Opening sockets is `session`'s.

mod environment;
mod keyword;
mod passfile;
mod service;
mod syntax;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use self::environment::{Content, Environment};
use crate::error::{Error, Result, Role};

/// The default of `connect_timeout`; libpq itself would wait without end.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// libpq's default port.
const PORT: u16 = 5432;

/// Where servers put their socket: libpq is built with one of these, so all are looked at.
pub(super) const SOCKET_DIRECTORIES: &[&str] = &["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// One server to try.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) address: Address,
    pub(super) port: u16,
    pub(super) password: Option<String>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// By TCP: a name, an address, or an address with the name that its certificate must have.
    Tcp { name: Option<String>, ip: Option<IpAddr> },
    /// By the socket in this directory.
    Socket(PathBuf),
    /// By the socket in the first of the usual directories that has one.
    UsualSocket,
}

/// Which servers are good enough.
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

/// How much TLS is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Whether authentication must be, may be, or is not bound to the TLS channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ChannelBinding {
    Disable,
    #[default]
    Prefer,
    Require,
}

/// Whether a client certificate is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CertMode {
    Disable,
    #[default]
    Allow,
    Require,
}

/// A version of TLS; older ones do not exist for rustls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TlsVersion {
    V1_2,
    V1_3,
}

/// A file that the string names, or libpq's default for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TlsFile {
    /// Named: the path as given.
    Named(PathBuf),
    /// Not named: used if it exists.
    Default(PathBuf),
}

/// Everything about TLS.
#[derive(Clone, Debug)]
pub(super) struct Ssl {
    pub(super) mode: SslMode,
    /// `None` means the certificates of the operating system (`sslrootcert=system`).
    pub(super) root_cert: Option<TlsFile>,
    pub(super) cert: Option<TlsFile>,
    pub(super) key: Option<TlsFile>,
    pub(super) cert_mode: CertMode,
    pub(super) crl: Option<TlsFile>,
    pub(super) crl_dir: Option<PathBuf>,
    pub(super) sni: bool,
    pub(super) direct: bool,
    pub(super) min_version: TlsVersion,
    pub(super) max_version: TlsVersion,
}

/// TCP keepalive.
#[derive(Clone, Debug)]
pub(super) struct Keepalives {
    pub(super) on: bool,
    pub(super) idle: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) count: Option<u32>,
}

/// A connection string, understood. `Display` gives host, port, database and user, as far as they are given.
#[derive(Clone)]
pub struct Conninfo {
    /// `host=.. port=..` as given, for messages.
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
    /// `None` waits without end.
    pub(super) connect_timeout: Option<Duration>,
    pub(super) tcp_user_timeout: Option<Duration>,
    pub(super) keepalives: Keepalives,
    /// Remarks that are no errors, such as a password file that others can read.
    pub(super) warnings: Vec<String>,
}

impl Conninfo {
    /// Reads a connection string in the environment of this process. `fallback_application_name` is what the server shows
    /// when nothing else gives a name.
    pub fn parse(role: Role, text: &str, fallback_application_name: &str) -> Result<Conninfo> {
        Conninfo::parse_in(&Environment::of_process(), role, text, fallback_application_name)
    }

    /// Reads a connection string in a given environment.
    pub fn parse_in(environment: &Environment, role: Role, text: &str, fallback_name: &str) -> Result<Conninfo> {
        Settings::collect(text, environment)
            .and_then(|settings| settings.understand(environment, fallback_name))
            .map_err(|message| Error::Conninfo { role, message })
    }
}

impl Conninfo {
    /// What messages about a session on `host` show, when the string names `count` servers: of several, only that one.
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

/// All keywords that are set, from wherever.
struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// The string wins over the service, the service over the environment.
    fn collect(text: &str, environment: &Environment) -> Result<Settings, String> {
        let mut values: BTreeMap<&'static str, String> = syntax::split(text)?.into_iter().collect();
        let service = values.get("service").map(String::as_str).or_else(|| environment.variable("PGSERVICE"));
        if let Some(name) = service.filter(|name| !name.is_empty()) {
            for (keyword, value) in service::find(name, environment)? {
                values.entry(keyword).or_insert(value);
            }
        }
        for keyword in keyword::KEYWORDS {
            if let Some(value) = keyword.variable.and_then(|name| environment.variable(name)) {
                values.entry(keyword.name).or_insert_with(|| value.to_owned());
            }
        }
        Ok(Settings(values))
    }

    /// A value; an empty one counts as not set.
    fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn list(&self, keyword: &str) -> Vec<&str> {
        self.get(keyword).map(|value| value.split(',').map(str::trim).collect()).unwrap_or_default()
    }

    /// A number; surrounding blanks are allowed.
    fn number<T: FromStr>(&self, keyword: &str) -> Result<Option<T>, String> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        let number = value.trim().parse();
        number.map(Some).map_err(|_| format!("the value \"{value}\" of \"{keyword}\" is not a number in its range"))
    }

    /// One of a few words, the default when not set.
    fn word<T: Copy + Default>(&self, keyword: &str, words: &[(&str, T)]) -> Result<T, String> {
        let Some(value) = self.get(keyword) else { return Ok(T::default()) };
        let found = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("the value \"{value}\" of \"{keyword}\" is not one of {}", allowed.join(", "))
        })
    }

    fn understand(&self, environment: &Environment, fallback_name: &str) -> Result<Conninfo, String> {
        self.refuse_unsupported()?;
        let user = self.get("user").or(environment.user.as_deref());
        let user = user.ok_or("this process has no user name; add user=NAME")?.to_owned();
        let dbname = self.get("dbname").unwrap_or(&user).to_owned();
        let mut warnings = Vec::new();
        let mut hosts = self.hosts()?;
        self.add_passwords(&mut hosts, &user, &dbname, environment, &mut warnings);
        let application_name =
            self.get("application_name").or(self.get("fallback_application_name")).unwrap_or(fallback_name);
        let hosts_order = self.word("load_balance_hosts", &[("disable", false), ("random", true)])?;
        Ok(Conninfo {
            place: self.shown(&["host", "hostaddr", "port"]),
            identity: self.shown(&["dbname", "user"]),
            hosts,
            shuffle: hosts_order,
            dbname,
            user,
            options: self.get("options").map(str::to_owned),
            application_name: application_name.to_owned(),
            ssl: self.ssl(environment)?,
            channel_binding: self.word(
                "channel_binding",
                &[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ],
            )?,
            target: self.target()?,
            require_peer: self.get("requirepeer").map(str::to_owned),
            connect_timeout: match self.number::<i32>("connect_timeout")? {
                None => Some(CONNECT_TIMEOUT),
                Some(seconds) => u64::try_from(seconds).ok().filter(|s| *s > 0).map(Duration::from_secs),
            },
            tcp_user_timeout: self.positive("tcp_user_timeout", Duration::from_millis)?,
            keepalives: Keepalives {
                on: self.number::<i32>("keepalives")? != Some(0),
                idle: self.positive("keepalives_idle", Duration::from_secs)?,
                interval: self.positive("keepalives_interval", Duration::from_secs)?,
                count: self.number::<i32>("keepalives_count")?.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
            },
            warnings,
        })
    }

    /// A time; zero and less mean the system's default.
    fn positive(&self, keyword: &str, unit: fn(u64) -> Duration) -> Result<Option<Duration>, String> {
        Ok(self.number::<i32>(keyword)?.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).map(unit))
    }

    /// What would weaken the session, or change its meaning, if it were silently ignored.
    fn refuse_unsupported(&self) -> Result<(), String> {
        let set = |keyword: &str| self.get(keyword);
        if set("gssencmode") == Some("require") {
            return Err("gssencmode=require is not supported; use sslmode=require".to_owned());
        }
        self.word("gssencmode", &[("disable", ()), ("prefer", ()), ("require", ())])?;
        if set("require_auth").is_some() {
            return Err(
                "\"require_auth\" is not supported; use channel_binding=require to keep a server from asking for \
                        the bare password"
                    .to_owned(),
            );
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

    fn target(&self) -> Result<Target, String> {
        self.word(
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

    /// One entry per server, without passwords.
    fn hosts(&self) -> Result<Vec<Host>, String> {
        let names = self.list("host");
        let addresses = self.list("hostaddr");
        let ports = self.list("port");
        let count = if addresses.is_empty() { names.len().max(1) } else { addresses.len() };
        if !names.is_empty() && names.len() != count {
            return Err(format!("\"host\" names {} servers, but \"hostaddr\" has {count} addresses", names.len()));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(format!("\"port\" has {} numbers for {count} servers; give one, or one for each", ports.len()));
        }
        (0..count)
            .map(|i| {
                let name = names.get(i).copied().filter(|name| !name.is_empty());
                let ip = addresses.get(i).copied().filter(|address| !address.is_empty());
                let port = ports.get(i).or(ports.first()).copied().unwrap_or("");
                Ok(Host { address: address(name, ip)?, port: port_number(port)?, password: None })
            })
            .collect()
    }

    /// Passwords belong to a server: the string's own holds for all, the password file may know each.
    fn add_passwords(
        &self,
        hosts: &mut [Host],
        user: &str,
        dbname: &str,
        environment: &Environment,
        warnings: &mut Vec<String>,
    ) {
        if let Some(password) = self.get("password") {
            for host in hosts {
                host.password = Some(password.to_owned());
            }
            return;
        }
        let path = self.get("passfile").map(PathBuf::from).or_else(|| environment.in_home(".pgpass"));
        let Some(path) = path else { return };
        let Ok(content) = (environment.read)(&path) else { return };
        if let Some(objection) = passfile::objection(&path, &content) {
            warnings.push(objection);
            return;
        }
        for host in hosts {
            let port = host.port.to_string();
            let wanted = passfile::Wanted { host: &host.passfile_name(), port: &port, dbname, user };
            host.password = passfile::password(&content.text, &wanted);
        }
    }

    fn ssl(&self, environment: &Environment) -> Result<Ssl, String> {
        let file = |keyword: &str, default: &str| {
            let named = self.get(keyword).map(|path| TlsFile::Named(PathBuf::from(path)));
            named.or_else(|| environment.in_home(default).map(TlsFile::Default))
        };
        let system = self.get("sslrootcert") == Some("system");
        let mode = self.ssl_mode(system)?;
        let version = |keyword: &str, default: TlsVersion| match self.get(keyword) {
            None => Ok(default),
            Some("TLSv1" | "TLSv1.1") if keyword.starts_with("ssl_min") => Ok(TlsVersion::V1_2),
            Some("TLSv1.2") => Ok(TlsVersion::V1_2),
            Some("TLSv1.3") => Ok(TlsVersion::V1_3),
            Some(other) => Err(format!("the value \"{other}\" of \"{keyword}\" is not one of TLSv1.2, TLSv1.3")),
        };
        let min_version = version("ssl_min_protocol_version", TlsVersion::V1_2)?;
        let max_version = version("ssl_max_protocol_version", TlsVersion::V1_3)?;
        if min_version > max_version {
            return Err("\"ssl_min_protocol_version\" is above \"ssl_max_protocol_version\"".to_owned());
        }
        let direct = self.word("sslnegotiation", &[("postgres", false), ("direct", true)])?;
        if direct && mode < SslMode::Require {
            return Err("sslnegotiation=direct needs sslmode=require or stronger".to_owned());
        }
        Ok(Ssl {
            mode,
            root_cert: if system { None } else { file("sslrootcert", ".postgresql/root.crt") },
            cert: file("sslcert", ".postgresql/postgresql.crt"),
            key: file("sslkey", ".postgresql/postgresql.key"),
            cert_mode: self.word(
                "sslcertmode",
                &[("disable", CertMode::Disable), ("allow", CertMode::Allow), ("require", CertMode::Require)],
            )?,
            crl: file("sslcrl", ".postgresql/root.crl"),
            crl_dir: self.get("sslcrldir").map(PathBuf::from),
            sni: self.get("sslsni") != Some("0"),
            direct,
            min_version,
            max_version,
        })
    }

    fn ssl_mode(&self, system: bool) -> Result<SslMode, String> {
        let mode = self.word(
            "sslmode",
            &[
                ("disable", SslMode::Disable),
                ("allow", SslMode::Allow),
                ("prefer", SslMode::Prefer),
                ("require", SslMode::Require),
                ("verify-ca", SslMode::VerifyCa),
                ("verify-full", SslMode::VerifyFull),
            ],
        )?;
        match (self.get("sslmode"), self.get("requiressl")) {
            (None, _) if system => Ok(SslMode::VerifyFull),
            (Some(_), _) if system && mode < SslMode::VerifyFull => {
                Err("sslrootcert=system needs sslmode=verify-full".to_owned())
            }
            (None, Some(value)) if value.starts_with('1') => Ok(SslMode::Require),
            _ => Ok(mode),
        }
    }

    /// Keywords that messages may show, as they would be written.
    fn shown(&self, keywords: &[&str]) -> String {
        let parts = keywords.iter().filter_map(|keyword| Some(format!("{keyword}={}", quoted(self.get(keyword)?))));
        parts.collect::<Vec<_>>().join(" ")
    }
}

/// Two parts of a connection string, any of which may be empty.
fn joined(a: &str, b: &str) -> String {
    format!("{a} {b}").trim().to_owned()
}

impl Host {
    /// The name by which the password file knows this server.
    fn passfile_name(&self) -> String {
        match &self.address {
            Address::Tcp { name: Some(name), .. } => name.clone(),
            Address::Tcp { name: None, ip } => ip.map(|ip| ip.to_string()).unwrap_or_default(),
            Address::Socket(path) if SOCKET_DIRECTORIES.iter().all(|usual| *path != PathBuf::from(usual)) => {
                path.display().to_string()
            }
            Address::Socket(_) | Address::UsualSocket => "localhost".to_owned(),
        }
    }
}

fn address(name: Option<&str>, ip: Option<&str>) -> Result<Address, String> {
    if let Some(ip) = ip {
        let ip = ip.parse().map_err(|_| format!("\"{ip}\" in \"hostaddr\" is not an IP address"))?;
        return Ok(Address::Tcp { name: name.map(str::to_owned), ip: Some(ip) });
    }
    match name {
        None => Ok(Address::UsualSocket),
        Some(path) if path.starts_with('/') => Ok(Address::Socket(PathBuf::from(path))),
        Some(name) if name.starts_with('@') => Err(format!(
            "sockets without a file are not supported (host \"{name}\"); use the directory of a socket file"
        )),
        Some(name) => Ok(Address::Tcp { name: Some(name.to_owned()), ip: None }),
    }
}

fn port_number(text: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Ok(PORT);
    }
    let number = text.parse().ok().filter(|port| *port != 0);
    number.ok_or_else(|| format!("\"{text}\" in \"port\" is not a port number from 1 to 65535"))
}

/// A value as it would be written in a connection string.
fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | '\\'));
    if plain { value.to_owned() } else { format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")) }
}

#[cfg(test)]
mod tests;
