//! The servers that a connection string names, and the password for each.

use std::net::IpAddr;
use std::path::PathBuf;

use super::environment::Environment;
use super::passfile;
use super::settings::Settings;

/// libpq's default port.
const PORT: u16 = 5432;

/// Directories of servers' sockets. libpq looks at the one that it was built with; here all of them are looked at.
pub(in crate::pg) const SOCKET_DIRECTORIES: &[&str] = &["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// One server to try.
#[derive(Clone)]
pub(in crate::pg) struct Host {
    pub(in crate::pg) address: Address,
    pub(in crate::pg) port: u16,
    pub(in crate::pg) password: Option<String>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Address {
    /// By TCP: a name, an address, or an address with the name that its certificate must have.
    Tcp { name: Option<String>, ip: Option<IpAddr> },
    /// By the socket in this directory.
    Socket(PathBuf),
    /// By the socket in the first of the usual directories that has one.
    UsualSocket,
}

impl Host {
    /// The name of this server in the password file. As with libpq, a socket in a usual directory is `localhost`.
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

/// One entry per server of `host`, `hostaddr` and `port`, without passwords.
pub(super) fn hosts(settings: &Settings) -> Result<Vec<Host>, String> {
    let names = settings.list("host");
    let addresses = settings.list("hostaddr");
    let ports = settings.list("port");
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

/// Gives each server its password: the connection string's, which holds for all servers, else the one that the password
/// file has for the server. A password file that is not safe is ignored with a warning.
pub(super) fn add_passwords(
    settings: &Settings,
    hosts: &mut [Host],
    user: &str,
    dbname: &str,
    environment: &Environment,
    warnings: &mut Vec<String>,
) {
    if let Some(password) = settings.get("password") {
        for host in hosts {
            host.password = Some(password.to_owned());
        }
        return;
    }
    let path = settings.get("passfile").map(PathBuf::from).or_else(|| environment.in_home(".pgpass"));
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
