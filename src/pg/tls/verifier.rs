//! Decides which server certificates are accepted.
//!
//! libpq lets OpenSSL verify the chain, and compares the name only for verify-full. rustls' own verifier does both at once
//! and refuses three kinds of certificates that servers use, because PostgreSQL's documentation shows how to make them:
//! * a self-signed certificate, which is made for an authority by default, is refused as "a CA used as a server";
//! * a certificate of X.509 version 1, which `openssl x509 -req` made by default for decades, is refused as a whole;
//! * a name in the common name instead of the subject alternative name does not count.
//!
//! These three kinds are verified here; rustls verifies the chain of all other certificates.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::BasicConstraints;

/// `commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// `subjectAltName`.
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// Which certificates are trusted.
#[derive(Debug)]
pub(super) enum Trust {
    /// Any certificate whose key the server has.
    Anybody,
    /// Certificates whose chain ends in one of `roots`.
    Roots {
        roots: Vec<CertificateDer<'static>>,
        /// rustls' verifier; `None` when no root is of a kind that rustls can use.
        chains: Option<Arc<WebPkiServerVerifier>>,
        /// Whether `chains` has revocation lists.
        with_crls: bool,
    },
}

/// Verifies a server's certificate as `sslmode` requires.
#[derive(Debug)]
pub(super) struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
    verify_name: bool,
}

impl Verifier {
    pub(super) fn new(provider: Arc<CryptoProvider>, trust: Trust, verify_name: bool) -> Verifier {
        Verifier { provider, trust, verify_name }
    }

    /// Verifies the chain, without the name.
    fn verify_chain(
        &self,
        cert: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let Trust::Roots { roots, chains, with_crls } = &self.trust else { return Ok(()) };
        let parsed = parse(cert)?;
        let is_root = roots.iter().any(|root| root.as_ref() == cert.as_ref());
        if is_root || parsed.tbs_certificate.version == Version::V1 || is_authority(&parsed) {
            if *with_crls {
                return Err(other(
                    "the server's certificate is of a kind whose revocation cannot be checked (version 1, or made for \
                     an authority); leave sslcrl and sslcrldir out, or give the server another certificate"
                        .to_owned(),
                ));
            }
            check_dates(&parsed, now)?;
            return if is_root { Ok(()) } else { self.verify_issuer(&parsed, roots) };
        }
        let Some(chains) = chains else { return Err(CertificateError::UnknownIssuer.into()) };
        match chains.verify_server_cert(cert, intermediates, name, &[], now) {
            // rustls compares the name last, so with these errors the chain is valid.
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Fails unless one of the roots itself has signed the certificate.
    fn verify_issuer(&self, cert: &Certificate, roots: &[CertificateDer<'_>]) -> Result<(), Error> {
        let issuers = roots.iter().filter_map(|root| Certificate::from_der(root).ok());
        let signed = issuers
            .filter(|issuer| issuer.tbs_certificate.subject == cert.tbs_certificate.issuer)
            .any(|issuer| self.has_signed(&issuer, cert).unwrap_or(false));
        if signed { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
    }

    /// Whether the key of `issuer` made the signature of `cert`. An error is an encoding that cannot be used.
    fn has_signed(&self, issuer: &Certificate, cert: &Certificate) -> x509_cert::der::Result<bool> {
        let message = cert.tbs_certificate.to_der()?;
        let signature = cert.signature.raw_bytes();
        let signature_algorithm = cert.signature_algorithm.to_der()?;
        let key = &issuer.tbs_certificate.subject_public_key_info;
        let key_algorithm = key.algorithm.to_der()?;
        Ok(self.provider.signature_verification_algorithms.all.iter().any(|algorithm| {
            algorithm.signature_alg_id().as_ref() == body(&signature_algorithm)
                && algorithm.public_key_alg_id().as_ref() == body(&key_algorithm)
                && algorithm.verify_signature(key.subject_public_key.raw_bytes(), &message, signature).is_ok()
        }))
    }

    /// Verifies the name: by rustls, else, as libpq does, by the common name of a certificate without alternative names.
    fn verify_server_name(cert: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
        let by_alternative_names =
            ParsedCertificate::try_from(cert).and_then(|parsed| rustls::client::verify_server_name(&parsed, name));
        if by_alternative_names.is_ok() {
            return Ok(());
        }
        let parsed = parse(cert)?;
        let extensions = parsed.tbs_certificate.extensions.as_deref().unwrap_or_default();
        let names = if extensions.iter().any(|extension| extension.extn_id == SUBJECT_ALT_NAME) {
            Vec::new()
        } else {
            common_names(&parsed)
        };
        let host = name.to_str();
        if names.iter().any(|common_name| matches_host(common_name, &host)) {
            return Ok(());
        }
        Err(other(format!("the server's certificate is not made for the host name \"{host}\" (sslmode=verify-full)")))
    }

    /// Verifies the signature of the handshake, for a certificate that rustls cannot parse.
    fn verify_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let cert = parse(cert)?;
        let key = &cert.tbs_certificate.subject_public_key_info;
        let key_algorithm = key.algorithm.to_der().map_err(|_| Error::from(CertificateError::BadEncoding))?;
        let mapping = self.provider.signature_verification_algorithms.mapping;
        let algorithms = mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme).flat_map(|(_, list)| *list);
        let valid = algorithms.filter(|algorithm| algorithm.public_key_alg_id().as_ref() == body(&key_algorithm)).any(
            |algorithm| {
                algorithm.verify_signature(key.subject_public_key.raw_bytes(), message, signed.signature()).is_ok()
            },
        );
        if valid { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify_chain(cert, intermediates, name, now)?;
        if self.verify_name {
            Verifier::verify_server_name(cert, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if ParsedCertificate::try_from(cert).is_err() {
            return self.verify_signature(message, cert, signed);
        }
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // PKCS#1 signatures are forbidden in TLS 1.3.
        let pkcs1 = matches!(
            signed.scheme,
            SignatureScheme::RSA_PKCS1_SHA256 | SignatureScheme::RSA_PKCS1_SHA384 | SignatureScheme::RSA_PKCS1_SHA512
        );
        if ParsedCertificate::try_from(cert).is_err() && !pkcs1 {
            return self.verify_signature(message, cert, signed);
        }
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn parse(cert: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(cert).map_err(|_| CertificateError::BadEncoding.into())
}

/// Whether a certificate may sign other certificates, as self-signed certificates may by default.
fn is_authority(cert: &Certificate) -> bool {
    matches!(cert.tbs_certificate.get::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca)
}

fn check_dates(cert: &Certificate, now: UnixTime) -> Result<(), Error> {
    let validity = &cert.tbs_certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// The content of a short DER sequence, without its two bytes of tag and length.
fn body(der: &[u8]) -> &[u8] {
    der.get(2..).unwrap_or_default()
}

fn common_names(cert: &Certificate) -> Vec<String> {
    let attributes = cert.tbs_certificate.subject.0.iter().flat_map(|set| set.0.iter());
    let names = attributes.filter(|attribute| attribute.oid == COMMON_NAME);
    names.filter_map(|name| std::str::from_utf8(name.value.value()).ok()).map(str::to_owned).collect()
}

/// Whether a common name, in which a leading `*.` stands for any first label, fits a host name or address.
fn matches_host(common_name: &str, host: &str) -> bool {
    if common_name.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(domain) = common_name.strip_prefix("*.") else { return false };
    let is_address = IpAddr::from_str(host).is_ok();
    match host.split_once('.') {
        Some((label, rest)) if !is_address && !label.is_empty() => rest.eq_ignore_ascii_case(domain),
        _ => false,
    }
}

fn other(message: String) -> Error {
    #[derive(Debug)]
    struct Message(String);

    impl fmt::Display for Message {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for Message {}

    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Message(message)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_match_hosts_as_libpq_has_it() {
        for (common_name, host, expected) in [
            ("db1", "db1", true),
            ("DB1.example.com", "db1.Example.com", true),
            ("db1", "db2", false),
            ("*.example.com", "db1.example.com", true),
            ("*.example.com", "a.db1.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("*", "db1", false),
            ("*.com", ".com", false),
        ] {
            assert_eq!(matches_host(common_name, host), expected, "{common_name} {host}");
        }
    }
}
