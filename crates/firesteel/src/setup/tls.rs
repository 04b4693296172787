//! The server's certificate: of an authority made here once, or the user's own.
//!
//! ```text
//! DIR/tls/ca.pem, ca.key          made at the first start, kept for ten years; clients are told to trust ca.pem
//! DIR/tls/server.pem, server.key  issued by it; again when a name is missing, the end is near or the two differ
//! ```
//!
//! The authority is never replaced behind the user's back while its certificate is there: clients trust it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use tracing::{info, warn};

use super::private_file::{self, FileError};
use super::{Address, validity};

/// How long the authority lasts.
const AUTHORITY_YEARS: i32 = 10;
/// How long a server certificate lasts; some clients refuse more than 825 days.
const SERVER_DAYS: i32 = 820;
/// How long before its end a certificate is made again.
const RENEW_DAYS: i32 = 90;

/// Where the certificate and the key of the server are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate that clients must be told to trust; none where the user brought a certificate.
    pub(crate) ca: Option<PathBuf>,
    /// The server's certificate, with those between it and its authority behind it.
    pub(crate) cert: PathBuf,
    /// The key of that certificate.
    pub(crate) key: PathBuf,
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Making a key or a certificate failed.
    #[error("failed to make {what}")]
    Make {
        /// What was to be made.
        what: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The authority cannot issue the certificate that is needed.
    #[error(
        "`{key}` is missing, damaged or not the key of `{ca}`, and the server's certificate must be issued again; \
         put it back, or remove `{ca}` for a new authority, which clients must then be told to trust"
    )]
    Authority {
        /// The authority's certificate.
        ca: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// A file holds no certificate or no key that can be read.
    #[error("`{path}` holds no {what} in PEM form{hint}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What else may be wrong.
        hint: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// A file that the configuration names is not there.
    #[error("`{path}` does not exist")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The certificate has ended.
    #[error("the certificate `{path}` ended on {end}")]
    Expired {
        /// The file.
        path: PathBuf,
        /// When it ended.
        end: Timestamp,
    },
    /// The certificate and the key cannot be served with.
    #[error("the certificate `{cert}` and the key `{key}` cannot be used together")]
    Pair {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// Makes what is missing or outdated in the folder, so that a server at this address can be verified by clients that
/// trust its `ca.pem`.
pub(crate) fn ensure(folder: &Path, address: &Address) -> Result<TlsFiles, TlsError> {
    private_file::make_folder(folder)?;
    let (ca, ca_key) = (folder.join("ca.pem"), folder.join("ca.key"));
    let (cert, key) = (folder.join("server.pem"), folder.join("server.key"));

    let authority = match private_file::read(&ca)? {
        Some(pem) if lasts(&pem) => pem,
        found => {
            if found.is_some() {
                warn!("the certificate authority is damaged or at its end; clients must trust the new one");
            }
            make_authority(&ca, &ca_key)?
        }
    };
    let served = (private_file::read(&cert)?, private_file::read(&key)?);
    let good = match &served {
        (Some(cert), Some(key)) => serves(&authority, cert, key, &address.names()),
        _ => false,
    };
    if !good {
        let lost = || TlsError::Authority { ca: ca.clone(), key: ca_key.clone() };
        let issuer_key = private_file::read(&ca_key)?.ok_or_else(lost)?;
        let issuer_key = KeyPair::from_pem(&issuer_key).map_err(|_| lost())?;
        let issuer = Issuer::from_ca_cert_pem(&authority, issuer_key).map_err(|_| lost())?;
        let (cert_pem, key_pem) = issue(&issuer, &address.names())?;
        // A key of another authority signs as well as ours would.
        if !serves(&authority, &cert_pem, &key_pem, &address.names()) {
            return Err(lost());
        }
        // A crash between the two leaves a pair that differs, which the next start finds.
        private_file::write(&key, key_pem.as_bytes())?;
        private_file::write(&cert, cert_pem.as_bytes())?;
        info!("issued a certificate for {}", address.names().join(", "));
    }
    Ok(TlsFiles { ca: Some(ca), cert, key })
}

/// Checks the user's own certificate and key. A certificate that does not hold the name clients use is warned about.
pub(crate) fn own(cert: &Path, key: &Path, address: &Address) -> Result<TlsFiles, TlsError> {
    let files = TlsFiles { ca: None, cert: cert.to_owned(), key: key.to_owned() };
    let pair = load(&files)?;
    let leaf = pair.cert.first().expect("a loaded pair has a certificate");
    if let Some(end) = validity::not_after(leaf)
        && end < Timestamp::now()
    {
        return Err(TlsError::Expired { path: files.cert, end });
    }
    let host = address.client_host();
    let named = || {
        let name = ServerName::try_from(host).ok()?;
        let leaf = ParsedCertificate::try_from(leaf).ok()?;
        rustls::client::verify_server_name(&leaf, &name).ok()
    };
    if named().is_none() {
        warn!("the certificate `{}` is not for `{host}`, the name that clients are given", cert.display());
    }
    Ok(files)
}

/// Builds what a TLS listener needs: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
pub(crate) fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let CertifiedKey { cert, .. } = load(files)?;
    let key = read_key(&files.key)?;
    let unfit = |source| TlsError::Pair { cert: files.cert.clone(), key: files.key.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(cert, key)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn load(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let unreadable = |hint| {
        let path = files.cert.clone();
        move |source| TlsError::Pem { path, what: "certificate", hint, source }
    };
    let text = private_or_shared(&files.cert)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(unreadable(""))?;
    if chain.is_empty() {
        return Err(unreadable("")(pem::Error::NoItemsFound));
    }
    let key = read_key(&files.key)?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| TlsError::Pair {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    })
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&private_or_shared(path)?).map_err(|source| TlsError::Pem {
        path: path.to_owned(),
        what: "private key",
        hint: "; an encrypted key must be decrypted first",
        source,
    })
}

/// Reads a file without touching its mode: what the user brought may belong to a group on purpose.
fn private_or_shared(path: &Path) -> Result<Vec<u8>, TlsError> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(TlsError::Missing { path: path.to_owned() }),
        read => Ok(read.map_err(FileError::at("read", path))?),
    }
}

fn make_authority(cert: &Path, key: &Path) -> Result<String, TlsError> {
    let failed = |source| TlsError::Make { what: "the certificate authority", source };
    let pair = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    // Two authorities of one name confuse clients that are given both.
    let name = format!("Firesteel authority {:08x}", rand::random::<u32>());
    params.distinguished_name = [(DnType::CommonName, name)].into_iter().fold(Default::default(), push);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, AUTHORITY_YEARS.years());
    let made = params.self_signed(&pair).map_err(failed)?;
    private_file::write(key, pair.serialize_pem().as_bytes())?;
    private_file::write(cert, made.pem().as_bytes())?;
    info!("made a certificate authority");
    Ok(made.pem())
}

fn issue(issuer: &Issuer<'_, KeyPair>, names: &[String]) -> Result<(String, String), TlsError> {
    let failed = |source| TlsError::Make { what: "the server's certificate", source };
    let pair = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(names).map_err(failed)?;
    let name = names.first().map_or("firesteel", String::as_str).to_owned();
    // 64 characters is all that a common name may have; the alternative names are what counts.
    let name = if name.len() > 64 { "firesteel".to_owned() } else { name };
    params.distinguished_name = push(Default::default(), (DnType::CommonName, name));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, SERVER_DAYS.days());
    let made = params.signed_by(&pair, issuer).map_err(failed)?;
    Ok((made.pem(), pair.serialize_pem()))
}

fn push(mut name: rcgen::DistinguishedName, (kind, value): (DnType, String)) -> rcgen::DistinguishedName {
    name.push(kind, value);
    name
}

/// Lets a certificate begin yesterday, for clients whose clock is slow, and last for `span`.
fn set_validity(params: &mut CertificateParams, span: jiff::Span) {
    let date = |at: Zoned| {
        let month = at.month().unsigned_abs();
        rcgen::date_time_ymd(at.year().into(), month, at.day().unsigned_abs())
    };
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let later = |span| &today + span;
    params.not_before = date(later(-1.day()));
    params.not_after = date(later(span));
}

/// Tells whether an authority's certificate reads and is far from its end.
fn lasts(pem: &str) -> bool {
    let end = CertificateDer::from_pem_slice(pem.as_bytes()).ok();
    let end = end.and_then(|der| validity::not_after(&der));
    end.is_some_and(|end| end > Timestamp::now() + (24 * RENEW_DAYS).hours())
}

/// Tells whether a client that trusts `authority` will accept the server under each name for some time to come, and
/// the key is the certificate's.
fn serves(authority: &str, cert: &str, key: &str, names: &[String]) -> bool {
    let verified = || {
        let provider = ring::default_provider();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).ok()?).ok()?;
        let leaf = CertificateDer::from_pem_slice(cert.as_bytes()).ok()?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?;
        CertifiedKey::from_der(vec![leaf.clone()], key, &provider).ok()?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider));
        let verifier = verifier.build().ok()?;
        let soon = Timestamp::now() + (24 * RENEW_DAYS).hours();
        let soon = UnixTime::since_unix_epoch(soon.as_duration().try_into().ok()?);
        for name in names {
            let name = ServerName::try_from(name.as_str()).ok()?;
            verifier.verify_server_cert(&leaf, &[], &name, &[], soon).ok()?;
        }
        Some(())
    };
    verified().is_some()
}

#[cfg(test)]
mod tests;
