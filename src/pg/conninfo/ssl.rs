//! What a connection string says about TLS.

use std::path::PathBuf;

use super::environment::Environment;
use super::settings::Settings;

/// `sslmode`, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pg) enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// `sslcertmode`: whether a client certificate is never sent, sent if there is one, or must be asked for by the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pg) enum CertMode {
    Disable,
    #[default]
    Allow,
    Require,
}

/// A version of TLS. rustls supports no older ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pg) enum TlsVersion {
    V1_2,
    V1_3,
}

/// A file that the string names, or libpq's default for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pg) enum TlsFile {
    /// Named: the path as given.
    Named(PathBuf),
    /// Not named: used if it exists.
    Default(PathBuf),
}

/// The keywords about TLS.
#[derive(Clone, Debug)]
pub(in crate::pg) struct Ssl {
    pub(in crate::pg) mode: SslMode,
    /// `None` means the certificates of the operating system (`sslrootcert=system`).
    pub(in crate::pg) root_cert: Option<TlsFile>,
    pub(in crate::pg) cert: Option<TlsFile>,
    pub(in crate::pg) key: Option<TlsFile>,
    pub(in crate::pg) cert_mode: CertMode,
    pub(in crate::pg) crl: Option<TlsFile>,
    pub(in crate::pg) crl_dir: Option<PathBuf>,
    pub(in crate::pg) sni: bool,
    pub(in crate::pg) direct: bool,
    pub(in crate::pg) min_version: TlsVersion,
    pub(in crate::pg) max_version: TlsVersion,
}

/// Reads the keywords about TLS. Files that are not named are libpq's default ones below the home directory.
pub(super) fn ssl(settings: &Settings, environment: &Environment) -> Result<Ssl, String> {
    let file = |keyword: &str, default: &str| {
        let named = settings.get(keyword).map(|path| TlsFile::Named(PathBuf::from(path)));
        named.or_else(|| environment.in_home(default).map(TlsFile::Default))
    };
    let system = settings.get("sslrootcert") == Some("system");
    let mode = ssl_mode(settings, system)?;
    let version = |keyword: &str, default: TlsVersion| match settings.get(keyword) {
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
    let direct = settings.word("sslnegotiation", &[("postgres", false), ("direct", true)])?;
    if direct && mode < SslMode::Require {
        return Err("sslnegotiation=direct needs sslmode=require or stronger".to_owned());
    }
    Ok(Ssl {
        mode,
        root_cert: if system { None } else { file("sslrootcert", ".postgresql/root.crt") },
        cert: file("sslcert", ".postgresql/postgresql.crt"),
        key: file("sslkey", ".postgresql/postgresql.key"),
        cert_mode: settings.word(
            "sslcertmode",
            &[("disable", CertMode::Disable), ("allow", CertMode::Allow), ("require", CertMode::Require)],
        )?,
        crl: file("sslcrl", ".postgresql/root.crl"),
        crl_dir: settings.get("sslcrldir").map(PathBuf::from),
        sni: settings.get("sslsni") != Some("0"),
        direct,
        min_version,
        max_version,
    })
}

fn ssl_mode(settings: &Settings, system: bool) -> Result<SslMode, String> {
    let mode = settings.word(
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
    match (settings.get("sslmode"), settings.get("requiressl")) {
        (None, _) if system => Ok(SslMode::VerifyFull),
        (Some(_), _) if system && mode < SslMode::VerifyFull => {
            Err("sslrootcert=system needs sslmode=verify-full".to_owned())
        }
        (None, Some(value)) if value.starts_with('1') => Ok(SslMode::Require),
        _ => Ok(mode),
    }
}
