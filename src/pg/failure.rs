//! Why no session could be opened: one cause per attempt, as text for an operator.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

use rustls::CertificateError;

use crate::text::one_line;

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Cause {
    /// The server answered with an error.
    Server(tokio_postgres::Error),
    /// The server was reached, but no session with it is possible (certificate, password, TLS): no other server is tried.
    Unusable(String),
    /// The server could not be reached: the next server is tried.
    Unreachable(String),
    /// The server took the connection, and there was no session after so many seconds: the next server is tried.
    Silent(u64),
    /// The server is not of the wanted kind, which the text names: the next server is tried.
    Unfit(&'static str),
}

impl Cause {
    /// Whether the search ends with this cause. As with libpq, a refused login ends it, unless the server is starting,
    /// stopping, or has no slot free.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Cause::Server(error) => {
                error.code().is_none_or(|code| !matches!(code.code(), "57P01" | "57P02" | "57P03" | "53300"))
            }
            Cause::Unusable(_) => true,
            Cause::Unreachable(_) | Cause::Silent(_) | Cause::Unfit(_) => false,
        }
    }

    /// What to do, as a sentence; empty where the cause says it, and where the server's own hint does.
    fn advice(&self) -> &'static str {
        match self {
            Cause::Unreachable(_) => {
                "Check that the server runs and that the connection string in the ini file is right."
            }
            Cause::Silent(_) => {
                "The server is overloaded or hangs; or it is a connection pooler all of whose server connections are in use: then \
                 raise its pool size."
            }
            Cause::Unfit(_) => {
                "Name a server of that kind in the connection string too, or change target_session_attrs there."
            }
            Cause::Server(error) => match error.code().map_or("", |code| code.code()) {
                "53300" => "Raise max_connections, or close idle sessions.",
                "3D000" => "Check dbname in the connection string.",
                code if code.starts_with("28") => {
                    "Check user and password in the connection string or the password file, and pg_hba.conf of the server."
                }
                _ => "",
            },
            Cause::Unusable(_) => "",
        }
    }

    /// The cause behind an error of the client library, whose own text is only "error connecting to server".
    pub(super) fn of(error: tokio_postgres::Error) -> Cause {
        if error.as_db_error().is_some() {
            return Cause::Server(error);
        }
        let Some(source) = error.source() else { return Cause::Unreachable(error.to_string()) };
        if let Some(source) = source.downcast_ref::<io::Error>() {
            return Cause::of_io(source);
        }
        match source.to_string().as_str() {
            // The library has no public kind for this error.
            "password missing" => Cause::Unusable(
                "the server asks for a password and there is none; put it into the password file, PGPASSWORD or the \
                 connection string"
                    .to_owned(),
            ),
            text => Cause::Unusable(text.to_owned()),
        }
    }

    /// The cause behind an error of a socket or of TLS.
    pub(super) fn of_io(error: &io::Error) -> Cause {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Cause::Unusable(of_tls(error));
        }
        Cause::Unreachable(match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
            _ => error.to_string(),
        })
    }

    /// The text of the cause on one line.
    pub(super) fn text(&self) -> String {
        match self {
            Cause::Server(error) => match error.as_db_error() {
                Some(error) => format!("{} ({})", one_line(error.message()), error.code().code()),
                None => error.to_string(),
            },
            Cause::Unusable(text) | Cause::Unreachable(text) => text.clone(),
            Cause::Silent(seconds) => {
                format!("the server took the connection, but no login was done within {seconds} s (connect_timeout)")
            }
            Cause::Unfit(what) => format!("{what} (target_session_attrs)"),
        }
    }
}

fn of_tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is not signed by a certificate in sslrootcert".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::Revoked) => {
            "the server's certificate is revoked".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.to_string(),
        rustls::Error::InvalidCertificate(error) => format!("the server's certificate cannot be trusted: {error}"),
        rustls::Error::AlertReceived(alert) => format!("the server broke off the TLS handshake: {alert:?}"),
        error => format!("TLS failed: {error}"),
    }
}

/// The cause of a socket that cannot be connected, with the path that was tried.
pub(super) fn at_socket(directory: &Path, port: u16, cause: Cause) -> Cause {
    match cause {
        Cause::Unreachable(text) => Cause::Unreachable(format!("{}/.s.PGSQL.{port}: {text}", directory.display())),
        cause => cause,
    }
}

/// All failed attempts of one call. `Display` leaves out the text of [`StdError::source`].
#[derive(Debug)]
pub(super) struct Failure {
    earlier: Vec<String>,
    place: String,
    last: Cause,
}

impl Failure {
    /// The failure of several attempts, each with the place where it was made; `None` when there was none.
    pub(super) fn of(mut attempts: Vec<(String, Cause)>) -> Option<Failure> {
        let (place, last) = attempts.pop()?;
        let earlier = attempts.into_iter().map(|(place, cause)| format!("{place}: {}", cause.text())).collect();
        Some(Failure { earlier, place, last })
    }

    /// What to do about the last attempt; may be empty.
    pub(super) fn advice(&self) -> &'static str {
        self.last.advice()
    }

    /// The failure as the source of an error: the server's own error where it is the only attempt.
    pub(super) fn into_source(self) -> Box<dyn StdError + Send + Sync> {
        match self.last {
            Cause::Server(error) if self.earlier.is_empty() => Box::new(error),
            last => Box::new(Failure { last, ..self }),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in &self.earlier {
            write!(f, "{text}; ")?;
        }
        match &self.last {
            Cause::Server(_) => f.write_str(&self.place),
            cause if self.earlier.is_empty() => f.write_str(&cause.text()),
            cause => write!(f, "{}: {}", self.place, cause.text()),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.last {
            Cause::Server(error) => Some(error),
            Cause::Unusable(_) | Cause::Unreachable(_) | Cause::Silent(_) | Cause::Unfit(_) => None,
        }
    }
}
