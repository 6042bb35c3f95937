//! The one certificate of a measurement: it vouches for itself, and names the loopback address.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate and its key, in files.
pub(crate) struct Certificate {
    pub(crate) file: PathBuf,
    pub(crate) key: PathBuf,
    /// Of those who trust it and nothing else.
    pub(crate) connector: TlsConnector,
}

impl Certificate {
    /// Makes one, with its files in `folder`.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let (file, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&file, made.cert.pem()).with_context(|| format!("cannot write {}", file.display()))?;
        std::fs::write(&key, made.signing_key.serialize_pem())
            .with_context(|| format!("cannot write {}", key.display()))?;
        let mut trusted = RootCertStore::empty();
        trusted.add(made.cert.der().clone())?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self { file, key, connector: Arc::new(config).into() })
    }
}

/// Takes TLS with the certificate in these files.
pub(crate) fn acceptor(file: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let read = |what: &Path| format!("cannot read {}", what.display());
    let chain = CertificateDer::pem_file_iter(file).with_context(|| read(file))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| read(key))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config).into())
}
