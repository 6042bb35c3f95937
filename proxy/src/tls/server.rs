//! The settings of a listener's handshakes, kept up to date with their files.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem;
use rustls::{InconsistentKeys, ServerConfig, SupportedProtocolVersion};

use super::TlsArguments;
use super::client_certificates;
use super::names::Version;
use super::pem::FileStamp;
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::TlsMetrics;

/// Between two looks at the files.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a `tls` block cannot be used. Every text begins with the attribute and its file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{place}: cannot be read: {error}")]
    Read {
        /// The attribute, and its file.
        place: String,
        /// What the system says.
        error: io::Error,
    },
    /// A text is not in PEM form.
    #[error("{place}: is not in PEM form: {error}")]
    Pem {
        /// The attribute, and its file.
        place: String,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// A text is without what it is there for.
    #[error("{place}: holds no {what}: a PEM text has a line \"-----BEGIN {marker}-----\"")]
    Empty {
        /// The attribute, and its file.
        place: String,
        /// What is missing.
        what: &'static str,
        /// Where it would begin.
        marker: &'static str,
    },
    /// The key is another certificate's.
    #[error("{key}: is not the key of the first certificate in {certificate}")]
    Mismatch {
        /// The key's attribute, and its file.
        key: String,
        /// The certificate's attribute, and its file.
        certificate: String,
    },
    /// Certificate and key cannot be used.
    #[error("{certificate}, {key}: cannot be used: {error}")]
    Unusable {
        /// The certificate's attribute, and its file.
        certificate: String,
        /// The key's attribute, and its file.
        key: String,
        /// What is wrong with them.
        error: rustls::Error,
    },
    /// A certificate cannot be an authority.
    #[error("{place}: cannot be used to verify clients: {cause}")]
    Authorities {
        /// The attribute, and its file.
        place: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No handshake could succeed.
    #[error("cipher_suites, curve_preferences, min_version, max_version: nothing is left to speak: {0}")]
    Nothing(rustls::Error),
}

/// A listener's TLS.
pub struct ServerTls {
    arguments: TlsArguments,
    alpn: Vec<Vec<u8>>,
    pub(super) owner: Arc<str>,
    pub(super) metrics: TlsMetrics,
    /// Of lines about handshakes that fail.
    pub(super) failures: LogLimit,
    config: ArcSwap<ServerConfig>,
    looked: Mutex<Looked>,
}

struct Looked {
    at: Instant,
    stamps: Stamps,
}

/// Of certificate, key and authorities.
type Stamps = [Option<FileStamp>; 3];

impl ServerTls {
    /// Reads certificates and key. `alpn` are the protocols that the listener speaks, the most wanted first; `owner` is
    /// whose listener it is, for the log.
    ///
    /// # Errors
    /// A file, a certificate or a key that cannot be used.
    pub fn new(
        arguments: &TlsArguments,
        alpn: &[&str],
        owner: Arc<str>,
        metrics: TlsMetrics,
    ) -> Result<Self, TlsError> {
        let alpn: Vec<Vec<u8>> = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        // Before the files are read: what changes meanwhile is read again.
        let looked = Looked { at: Instant::now(), stamps: stamps(arguments) };
        let config = ArcSwap::from_pointee(config(arguments, &alpn)?);
        let (arguments, looked) = (arguments.clone(), Mutex::new(looked));
        Ok(Self { arguments, alpn, owner, metrics, failures: LogLimit::default(), config, looked })
    }

    /// Whether it is made of the same block.
    pub fn is_of(&self, arguments: &TlsArguments) -> bool {
        self.arguments == *arguments
    }

    /// What the next handshake goes by. Looks at the files at most once a second, and reads them when they changed; what
    /// cannot be used is told to the log once, and the last that could be used stays.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config_at(Instant::now())
    }

    pub(super) fn config_at(&self, now: Instant) -> Arc<ServerConfig> {
        // Where another handshake is looking, this one goes by what there is.
        if let Ok(mut looked) = self.looked.try_lock()
            && now.saturating_duration_since(looked.at) >= LOOK_AGAIN
        {
            looked.at = now;
            let stamps = stamps(&self.arguments);
            if stamps != looked.stamps {
                looked.stamps = stamps;
                self.read_again();
            }
        }
        self.config.load_full()
    }

    fn read_again(&self) {
        // All of it, not the certificates alone: sessions of the old settings are not resumed then.
        match config(&self.arguments, &self.alpn) {
            Ok(config) => {
                self.config.store(Arc::new(config));
                self.metrics.reloads.inc();
                tracing::info!(listener = %self.owner, "certificates changed and were read again");
            }
            Err(error) => {
                self.metrics.reload_failures.inc();
                tracing::error!(listener = %self.owner, err = %error, "certificates changed and cannot be used; those of before stay");
            }
        }
    }
}

fn stamps(arguments: &TlsArguments) -> Stamps {
    let authorities = arguments.authorities().and_then(|authorities| authorities.stamp());
    [arguments.certificates().stamp(), arguments.key().stamp(), authorities]
}

fn config(arguments: &TlsArguments, alpn: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(provider(arguments));
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(arguments))
        .map_err(TlsError::Nothing)?
        .with_client_cert_verifier(client_certificates::verifier(arguments, &provider)?);
    let (certificates, key) = (arguments.certificates(), arguments.key());
    let built = builder.with_single_cert(certificates.read_certificates()?, key.read_key()?);
    let (certificate, key) = (certificates.place(), key.place());
    let mut config = built.map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch { key, certificate },
        error => TlsError::Unusable { certificate, key, error },
    })?;
    config.alpn_protocols = alpn.to_vec();
    Ok(config)
}

/// The versions that can be spoken: TLS 1.2 only with a cipher suite of its own.
pub(super) fn versions(arguments: &TlsArguments) -> Vec<&'static SupportedProtocolVersion> {
    let range = arguments.min_version..=arguments.max_version;
    let suites = provider(arguments).cipher_suites;
    let speaks = |version: &Version| suites.iter().any(|suite| suite.version() == version.protocol());
    let wanted = [Version::Tls13, Version::Tls12].into_iter().filter(|version| range.contains(version));
    wanted.filter(speaks).map(Version::protocol).collect()
}

fn provider(arguments: &TlsArguments) -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| arguments.cipher_suites.allow(suite));
    if !arguments.curve_preferences.is_empty() {
        let curves = arguments.curve_preferences.iter();
        provider.kx_groups = curves.filter_map(|curve| curve.key_exchange(&provider.kx_groups)).collect();
    }
    provider
}
