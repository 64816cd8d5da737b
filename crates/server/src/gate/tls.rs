//! HTTPS: a certificate and its key as they lie in files, and what a connection needs of them.

use std::fmt::Write;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate, with those that vouch for it, and its key; both as PEM text.
#[derive(Clone)]
pub struct Certificate {
    /// The server's own first.
    pub chain: String,
    /// PKCS #8, PKCS #1 or SEC 1.
    pub key: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key.
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

/// A certificate ready for use.
pub(crate) struct Tls {
    pub acceptor: TlsAcceptor,
    pub fingerprint: String,
}

impl Tls {
    /// Reads a certificate and its key; the error says which of them is not one, or that they do not fit.
    pub(crate) fn new(certificate: &Certificate) -> Result<Self, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect();
        let chain = chain.map_err(|error| format!("the certificate is no PEM: {error}"))?;
        let own = chain.first().ok_or("the certificate's file holds none (looked for BEGIN CERTIFICATE)")?;
        let fingerprint = fingerprint(own);
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())
            .map_err(|error| format!("the key is no PEM key: {error}"))?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| format!("certificate and key cannot be used: {error}"))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint })
    }
}

/// SHA-256 in the form that browsers show: `AB:CD:…`.
fn fingerprint(certificate: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, certificate).as_ref() {
        let separator = if text.is_empty() { "" } else { ":" };
        // Writing to a text cannot fail.
        let _ = write!(text, "{separator}{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_said() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cases = [("", "", "holds none"), ("hello", "", "holds none"), (pem, "", "no PEM key")];
        for (chain, key, expected) in cases {
            let certificate = Certificate { chain: chain.to_owned(), key: key.to_owned() };
            let error = Tls::new(&certificate).err().expect("it is refused");
            assert!(error.contains(expected), "{error}");
        }
    }
}
