//! TLS between equals: each side shows a certificate of the same authority, from files that are read again when they
//! change.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, InconsistentKeys, RootCertStore, ServerConfig};

use super::TlsError;
use super::pem::{FileStamp, PemSource};

/// Between two looks at the files.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Three files in PEM form, each with what messages name it by.
#[derive(Debug, Clone)]
pub struct MutualTlsFiles {
    /// Those who sign the certificates of both sides.
    pub authorities: (&'static str, PathBuf),
    /// The own certificate first, then those above it.
    pub certificate: (&'static str, PathBuf),
    /// Its key.
    pub key: (&'static str, PathBuf),
}

/// The settings of rustls for both sides.
pub struct MutualTls {
    files: MutualTlsFiles,
    sides: ArcSwap<Sides>,
    looked: Mutex<(Instant, Stamps)>,
}

/// How to accept, and how to connect.
#[derive(Debug, Clone)]
pub struct Sides {
    /// Asks for a certificate and verifies it.
    pub server: Arc<ServerConfig>,
    /// Shows one, and verifies that of the other side.
    pub client: Arc<ClientConfig>,
}

type Stamps = [Option<FileStamp>; 3];

impl MutualTls {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// A file, a certificate or a key that cannot be used.
    pub fn new(files: MutualTlsFiles) -> Result<Self, TlsError> {
        // Before the files are read: what changes meanwhile is read again.
        let looked = Mutex::new((Instant::now(), files.stamps()));
        let sides = ArcSwap::from_pointee(files.sides()?);
        Ok(Self { files, sides, looked })
    }

    /// What the next connection goes by. Looks at the files at most once a second; where they cannot be used any more,
    /// the last that could be stay, and the log says so once.
    pub fn sides(&self) -> Arc<Sides> {
        self.sides_at(Instant::now())
    }

    pub(super) fn sides_at(&self, now: Instant) -> Arc<Sides> {
        if let Ok(mut looked) = self.looked.try_lock()
            && now.saturating_duration_since(looked.0) >= LOOK_AGAIN
        {
            let stamps = self.files.stamps();
            let changed = stamps != looked.1;
            *looked = (now, stamps);
            if changed {
                match self.files.sides() {
                    Ok(sides) => {
                        self.sides.store(sides.into());
                        tracing::info!("certificates changed and were read again");
                    }
                    Err(error) => {
                        tracing::error!(err = %error, "certificates changed and cannot be used; those of before stay");
                    }
                }
            }
        }
        self.sides.load_full()
    }
}

impl fmt::Debug for MutualTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutualTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl MutualTlsFiles {
    fn sources(&self) -> [PemSource<'_>; 3] {
        [&self.authorities, &self.certificate, &self.key].map(|(attribute, path)| PemSource::File { attribute, path })
    }

    fn stamps(&self) -> Stamps {
        self.sources().map(|source| source.stamp())
    }

    fn sides(&self) -> Result<Sides, TlsError> {
        let [authorities, certificate, key] = self.sources();
        let mut roots = RootCertStore::empty();
        for authority in authorities.read_certificates()? {
            let cause =
                |error: rustls::Error| TlsError::Authorities { place: authorities.place(), cause: error.to_string() };
            roots.add(authority).map_err(cause)?;
        }
        let (roots, chain) = (Arc::new(roots), certificate.read_certificates()?);
        let unusable = |error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { key: key.place(), certificate: certificate.place() }
            }
            error => TlsError::Unusable { certificate: certificate.place(), key: key.place(), error },
        };
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let cause = |error: rustls::server::VerifierBuilderError| TlsError::Authorities {
            place: authorities.place(),
            cause: error.to_string(),
        };
        let versions = &[&rustls::version::TLS13];
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(unusable)?
            .with_client_cert_verifier(verifier.map_err(cause)?)
            .with_single_cert(chain.clone(), key.read_key()?)
            .map_err(unusable)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(unusable)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key.read_key()?)
            .map_err(unusable)?;
        Ok(Sides { server: server.into(), client: client.into() })
    }
}
