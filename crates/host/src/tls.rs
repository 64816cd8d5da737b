//! Where a server's certificate comes from: the user's own files, or one that this user's servers sign themselves
//! and keep.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use client::runfiles;
use protocol::paths::Home;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use server::Certificate;

/// How long a certificate of our own is used; browsers take none that is good for more than 398 days.
const USED_FOR: Duration = Duration::from_secs(365 * 24 * 3600);

/// And how much longer it would be good.
const SPARE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most that a certificate has, with all those that vouch for it.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// How a server is to serve HTTPS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    #[default]
    Off,
    /// With a certificate that it signs itself.
    SelfSigned,
    /// With these files.
    Files {
        /// The certificate, with those that vouch for it, as PEM.
        certificate: PathBuf,
        /// Its key, as PEM.
        key: PathBuf,
    },
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("could not use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A certificate is of no use without its key, nor a key without its certificate.
    #[error("{given} is set, but {missing} is not; HTTPS needs both")]
    Half {
        /// What is there.
        given: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// No certificate can be made.
    #[error("could not make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

impl Tls {
    /// The certificate for a server with these names and addresses; `None` without HTTPS.
    ///
    /// # Errors
    /// When a file cannot be read or written, or no certificate can be made.
    pub fn certificate(&self, home: &Home, names: &[String]) -> Result<Option<Certificate>, TlsError> {
        match self {
            Self::Off => Ok(None),
            Self::Files { certificate, key } => {
                Ok(Some(Certificate { chain: read(certificate)?, key: read(key)? }))
            }
            Self::SelfSigned => own(home, names, SystemTime::now()).map(Some),
        }
    }
}

/// The certificate of an earlier start, so that browsers which trust it go on doing so; a new one when it is old or
/// for other names.
fn own(home: &Home, names: &[String], now: SystemTime) -> Result<Certificate, TlsError> {
    let path = home.certificate();
    let failed = |source| TlsError::File { path: path.clone(), source };
    let heading = format!("names: {}\n", names.join(", "));
    if let Some(kept) = kept(&path, now).filter(|text| text.starts_with(&heading)) {
        return Ok(Certificate { chain: kept.clone(), key: kept });
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Claude MPM monitor");
    params.not_before = (now - Duration::from_secs(3600)).into();
    params.not_after = (now + USED_FOR + SPARE).into();
    let key = KeyPair::generate()?;
    let text = format!("{heading}{}{}", params.self_signed(&key)?.pem(), key.serialize_pem());
    runfiles::make_folders(home).map_err(failed)?;
    private::replace(&path, text.as_bytes()).map_err(failed)?;
    Ok(Certificate { chain: text.clone(), key: text })
}

/// The certificate of an earlier start, unless it is old, or others may have read its key.
fn kept(path: &Path, now: SystemTime) -> Option<String> {
    let file = private::look(path).ok()?;
    let age = now.duration_since(file.metadata().ok()?.modified().ok()?).unwrap_or_default();
    if age >= USED_FOR || private::is_open_to_others(&file).ok()? {
        return None;
    }
    private::text(file, FILE_BYTES_MAX).ok()
}

fn read(path: &Path) -> Result<String, TlsError> {
    let text = private::follow(path).and_then(|file| private::text(file, FILE_BYTES_MAX));
    text.map_err(|source| TlsError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_certificate_is_kept_until_it_is_old_or_for_other_names() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let names = ["localhost".to_owned(), "192.0.2.7".to_owned()];
        let now = SystemTime::now();
        let first = own(&home, &names, now).unwrap();
        assert!(first.chain.contains("BEGIN CERTIFICATE") && first.key.contains("PRIVATE KEY"));
        assert_eq!(own(&home, &names, now).unwrap().chain, first.chain, "browsers trust it by now");
        let renamed = own(&home, &names[..1], now).unwrap();
        assert_ne!(renamed.chain, first.chain);
        assert_ne!(own(&home, &names[..1], now + USED_FOR + SPARE).unwrap().chain, renamed.chain);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(home.certificate()).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("cert.pem");
        let tls = Tls::Files { certificate: missing.clone(), key: missing };
        let error = tls.certificate(&Home::at(folder.path()), &[]).unwrap_err().to_string();
        assert!(error.contains("cert.pem"), "{error}");
    }
}
