//! TLS with libpq's rules, by rustls: makes a connector for the client library from the files of a connection string.

mod verifier;

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme, version};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::verifier::{Trust, Verifier};
use super::conninfo::{CertMode, Ssl, SslMode, TlsFile, TlsVersion};
use super::login_guard::{FirstByte, Guarded};
use super::socket::Socket;

/// Makes TLS connections for one connection string, and records what happened in their handshakes.
#[derive(Clone)]
pub(super) struct Connector {
    config: Option<Arc<ClientConfig>>,
    verify_name: bool,
    cert_required: bool,
    /// Whether a handshake was begun by this session.
    used: Arc<AtomicBool>,
    /// Whether a server asked for a certificate; shared by all sessions of the connection string.
    asked: Arc<AtomicBool>,
}

impl Connector {
    /// A connector for connections without TLS.
    pub(super) fn none() -> Connector {
        Connector {
            config: None,
            verify_name: false,
            cert_required: false,
            used: Arc::default(),
            asked: Arc::default(),
        }
    }

    /// Reads the files. The error says which file or keyword cannot be used, and why.
    pub(super) fn new(ssl: &Ssl) -> Result<Connector, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verify_name = ssl.mode == SslMode::VerifyFull;
        let verifier = Verifier::new(provider.clone(), trust(ssl, &provider)?, verify_name);
        let versions: Vec<_> = [(TlsVersion::V1_2, &version::TLS12), (TlsVersion::V1_3, &version::TLS13)]
            .into_iter()
            .filter(|(version, _)| (ssl.min_version..=ssl.max_version).contains(version))
            .map(|(_, version)| version)
            .collect();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let asked = Arc::new(AtomicBool::new(false));
        let key = client_key(ssl, &provider)?;
        if ssl.cert_mode == CertMode::Require && key.is_none() {
            return Err("sslcertmode=require needs a client certificate; set sslcert and sslkey".to_owned());
        }
        let mut config = builder.with_client_cert_resolver(Arc::new(ClientCert { key, asked: asked.clone() }));
        config.enable_sni = ssl.sni;
        if ssl.direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(Connector {
            config: Some(Arc::new(config)),
            verify_name,
            cert_required: ssl.cert_mode == CertMode::Require,
            used: Arc::default(),
            asked,
        })
    }

    /// The same connector with a [`Connector::was_used`] of its own.
    pub(super) fn for_one_session(&self) -> Connector {
        Connector { used: Arc::default(), ..self.clone() }
    }

    /// A handshake with a server whose certificate has to have the name `host`.
    pub(super) fn handshake(&self, host: &str) -> Handshake {
        let library = self.config.as_ref().map(|config| {
            let mut library = MakeRustlsConnect::new(ClientConfig::clone(config));
            let Ok(handshake) = MakeTlsConnect::<Plain>::make_tls_connect(&mut library, &self.server_name(host));
            handshake
        });
        Handshake { library, used: self.used.clone() }
    }

    /// Whether this connector makes connections without TLS only.
    pub(super) fn is_none(&self) -> bool {
        self.config.is_none()
    }

    /// Whether a handshake was begun.
    pub(super) fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Checks `sslcertmode=require` after the handshake.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.cert_required && !(self.was_used() && self.asked.load(Ordering::Relaxed)) {
            return Err("sslcertmode=require, but the server did not ask for a certificate".to_owned());
        }
        Ok(())
    }

    /// The name for the handshake. Where names are not verified, a name that cannot stand in a certificate (with a character
    /// that DNS does not allow) is replaced by an address, which is not sent to the server.
    fn server_name(&self, host: &str) -> String {
        if !self.verify_name && ServerName::try_from(host).is_err() { "0.0.0.0".to_owned() } else { host.to_owned() }
    }
}

/// A connection to a server before TLS.
type Plain = Guarded<Socket>;

/// The library's connector for such connections.
type Library = <MakeRustlsConnect as MakeTlsConnect<Plain>>::TlsConnect;

/// One handshake to be made.
pub(super) struct Handshake {
    library: Option<Library>,
    used: Arc<AtomicBool>,
}

impl TlsConnect<Plain> for Handshake {
    type Stream = Guarded<<MakeRustlsConnect as MakeTlsConnect<Plain>>::Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>>;

    fn connect(self, stream: Plain) -> Self::Future {
        self.used.store(true, Ordering::Relaxed);
        let Some(library) = self.library else {
            return Box::pin(std::future::ready(Err(io::Error::other("TLS is switched off"))));
        };
        let (stream, heard, close) = stream.beneath_tls();
        Box::pin(async move {
            Ok(Guarded::new(library.connect(stream).await?, FirstByte::OfMessage, heard).closed_by(close))
        })
    }
}

/// The client's certificate and key, and whether a server asked for them.
#[derive(Debug)]
struct ClientCert {
    key: Option<Arc<CertifiedKey>>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for ClientCert {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}

/// The file if it exists.
fn existing(file: Option<&TlsFile>) -> Option<&Path> {
    match file? {
        TlsFile::Named(path) | TlsFile::Default(path) => path.exists().then_some(path.as_path()),
    }
}

fn path_of(file: Option<&TlsFile>) -> String {
    match file {
        Some(TlsFile::Named(path) | TlsFile::Default(path)) => path.display().to_string(),
        None => "~/.postgresql/root.crt".to_owned(),
    }
}

/// The roots that the chain of a server's certificate must end in. As in libpq, an existing root certificate is used in every
/// mode, and only `verify-ca` and `verify-full` require one.
fn trust(ssl: &Ssl, provider: &Arc<CryptoProvider>) -> Result<Trust, String> {
    let roots = match (&ssl.root_cert, existing(ssl.root_cert.as_ref())) {
        (None, _) => rustls_native_certs::load_native_certs().certs,
        (Some(_), Some(path)) => certificates(path)?,
        (Some(_), None) if ssl.mode >= SslMode::VerifyCa => {
            return Err(format!(
                "root certificate file \"{}\" does not exist; put the CA's certificate there, name another file in \
                 sslrootcert, or use sslrootcert=system or a weaker sslmode",
                path_of(ssl.root_cert.as_ref())
            ));
        }
        (Some(_), None) => return Ok(Trust::Anybody),
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    if ssl.root_cert.is_none() && roots.is_empty() {
        // The machine has no store, as a container may have none.
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if store.is_empty() && roots.is_empty() {
        return Err(format!("no certificate found in {}", path_of(ssl.root_cert.as_ref())));
    }
    let crls = revocation_lists(ssl)?;
    let with_crls = !crls.is_empty();
    let chains = if store.is_empty() {
        None
    } else {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
        let verifier = builder.with_crls(crls).build();
        Some(verifier.map_err(|error| format!("sslcrl or sslrootcert cannot be used: {error}"))?)
    };
    Ok(Trust::Roots { roots, chains, with_crls })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    read_pem(path, "certificate")
}

fn read_pem<T: PemObject>(path: &Path, what: &str) -> Result<Vec<T>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot read {what} file \"{}\": {error}", path.display());
    let bytes = fs::read(path).map_err(|error| failed(&error))?;
    let items: Vec<T> = T::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    if items.is_empty() { Err(failed(&format!("it holds no {what} in PEM form"))) } else { Ok(items) }
}

/// The revocation lists of `sslcrl` and of all files in `sslcrldir`.
fn revocation_lists(ssl: &Ssl) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    const WHAT: &str = "certificate revocation list";
    let mut lists = Vec::new();
    match &ssl.crl {
        Some(TlsFile::Named(path)) => lists = read_pem(path, WHAT)?,
        Some(TlsFile::Default(path)) if path.exists() && ssl.crl_dir.is_none() => lists = read_pem(path, WHAT)?,
        _ => {}
    }
    if let Some(directory) = &ssl.crl_dir {
        let failed = |error: io::Error| format!("cannot read directory \"{}\": {error}", directory.display());
        for entry in fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_file() {
                lists.extend(read_pem(&path, WHAT)?);
            }
        }
    }
    Ok(lists)
}

/// The client's certificate and key; `None` where there is no certificate. A certificate without its key is an error.
fn client_key(ssl: &Ssl, provider: &CryptoProvider) -> Result<Option<Arc<CertifiedKey>>, String> {
    if ssl.cert_mode == CertMode::Disable {
        return Ok(None);
    }
    let Some(cert_path) = existing(ssl.cert.as_ref()) else { return Ok(None) };
    let Some(key_path) = existing(ssl.key.as_ref()) else {
        return Err(format!(
            "there is a client certificate \"{}\", but no private key \"{}\"; set sslkey",
            cert_path.display(),
            path_of(ssl.key.as_ref())
        ));
    };
    check_key_permissions(key_path)?;
    let failed = |error: &dyn std::fmt::Display| format!("cannot use private key \"{}\": {error}", key_path.display());
    let bytes = fs::read(key_path).map_err(|error| failed(&error))?;
    if bytes.windows(9).any(|window| window == b"ENCRYPTED") {
        return Err(failed(
            &"it is encrypted, which is not supported; decrypt it with openssl pkey and protect the file",
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes)
        .or_else(|error| PrivateKeyDer::try_from(bytes).map_err(|_| error))
        .map_err(|error| failed(&error))?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| failed(&error))?;
    Ok(Some(Arc::new(CertifiedKey::new(certificates(cert_path)?, key))))
}

/// Refuses a key that group or others have access to. As in libpq, a key that root owns may be readable by its group.
fn check_key_permissions(path: &Path) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot use private key \"{}\": {error}", path.display());
    let metadata = fs::metadata(path).map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        return Err(failed(&"it is not a plain file"));
    }
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.permissions().mode() & forbidden == 0 {
        return Ok(());
    }
    Err(failed(&"group or others have access to it; run chmod 0600 on it (0640 is allowed when root owns it)"))
}
