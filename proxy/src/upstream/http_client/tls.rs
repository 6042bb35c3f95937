//! How a client speaks TLS: whom it trusts, and who it is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_syntax::{Arguments, Invalid, Secret};
use hyper_rustls::ConfigBuilderExt;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use self::unverified::Unverified;
use super::{Proxies, parse_server_name, secret_file};
use crate::tls::Version;
use crate::upstream::ClientSettings;
use crate::upstream::connector::Versions;

mod unverified;

/// The `tls_config` block.
#[derive(Debug, Clone, Default, PartialEq, Arguments)]
#[alloy(validate = TlsConfigArguments::validate)]
pub struct TlsConfigArguments {
    /// Certificates of the authorities to trust instead of the system's, as PEM.
    #[alloy(attr, optional)]
    pub ca_pem: String,
    /// A file with such certificates.
    #[alloy(attr, optional)]
    pub ca_file: String,
    /// The client's own certificate and those above it, as PEM.
    #[alloy(attr, optional)]
    pub cert_pem: String,
    /// A file with the client's certificate.
    #[alloy(attr, optional)]
    pub cert_file: String,
    /// The client's key, as PEM.
    #[alloy(attr, optional)]
    pub key_pem: Secret,
    /// A file with the client's key.
    #[alloy(attr, optional)]
    pub key_file: String,
    /// The name that the server must prove to have, where it is not the URL's.
    #[alloy(attr, optional)]
    pub server_name: String,
    /// Whether any certificate is good.
    #[alloy(attr, optional)]
    pub insecure_skip_verify: bool,
    /// The oldest version to speak.
    #[alloy(attr, default = Version::Tls12)]
    pub min_version: Version,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {attribute} {}: {error}", path.display())]
    Io {
        /// Which attribute names it.
        attribute: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Not what it should be.
    #[error("{what} cannot be read as PEM: {error}")]
    Pem {
        /// Of what.
        what: &'static str,
        /// Why.
        error: rustls::pki_types::pem::Error,
    },
    /// A text without a certificate.
    #[error("{0}: no certificate in it; it must hold PEM with -----BEGIN CERTIFICATE-----")]
    NoCertificate(&'static str),
    /// rustls refuses it.
    #[error("{what}: {error}")]
    Refused {
        /// What.
        what: &'static str,
        /// Why.
        error: rustls::Error,
    },
    /// No name of a server.
    #[error("server_name {0:?} is neither a DNS name nor an IP address")]
    ServerName(String),
}

/// What connections are made with.
#[derive(Clone, PartialEq)]
pub(in crate::upstream) struct Material {
    authorities: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

impl TlsConfigArguments {
    /// Whether there are files to read.
    pub(in crate::upstream) fn has_files(&self) -> bool {
        [&self.ca_file, &self.cert_file, &self.key_file].into_iter().any(|file| !file.is_empty())
    }

    /// Reads the files. Blocks where there are some.
    pub(in crate::upstream) fn material(&self) -> Result<Material, TlsError> {
        Ok(Material {
            authorities: given_or_read(&self.ca_pem, "ca_file", &self.ca_file)?,
            certificate: given_or_read(&self.cert_pem, "cert_file", &self.cert_file)?,
            key: given_or_read(self.key_pem.expose(), "key_file", &self.key_file)?,
        })
    }

    /// The settings of rustls.
    pub(in crate::upstream) fn client_config(&self, material: &Material) -> Result<ClientConfig, TlsError> {
        let refused = |what| move |error| TlsError::Refused { what, error };
        let provider = Arc::new(ring::default_provider());
        let versions: &[&SupportedProtocolVersion] = match self.min_version {
            Version::Tls12 => &[&version::TLS13, &version::TLS12],
            Version::Tls13 => &[&version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions);
        let builder = builder.map_err(refused("min_version"))?;
        let builder = if self.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified::new(&provider)))
        } else if material.authorities.is_empty() {
            builder.try_with_platform_verifier().map_err(refused("the system's certificates cannot be used"))?
        } else {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("ca_pem or ca_file", &material.authorities)? {
                roots.add(certificate).map_err(refused("ca_pem or ca_file"))?;
            }
            builder.with_root_certificates(roots)
        };
        if material.certificate.is_empty() {
            return Ok(builder.with_no_client_auth());
        }
        let chain = certificates("cert_pem or cert_file", &material.certificate)?;
        let what = "key_pem or key_file";
        let key = PrivateKeyDer::from_pem_slice(&material.key).map_err(|error| TlsError::Pem { what, error })?;
        builder.with_client_auth_cert(chain, key).map_err(refused("the client's certificate or key"))
    }

    /// What a client of another kind is made with, from files that are read once. Blocks where there are some.
    pub(crate) fn settings(&self, versions: Versions) -> Result<ClientSettings, TlsError> {
        self.settings_of(&self.material()?, versions, None)
    }

    /// The same of files that were read, behind proxies.
    pub(in crate::upstream) fn settings_of(
        &self,
        material: &Material,
        versions: Versions,
        proxies: Option<Arc<Proxies>>,
    ) -> Result<ClientSettings, TlsError> {
        let tls = self.client_config(material)?;
        Ok(ClientSettings { tls, server_name: self.server_name()?, versions, proxies })
    }

    /// The name that the server must prove to have, where it is not the URL's.
    pub(in crate::upstream) fn server_name(&self) -> Result<Option<ServerName<'static>>, TlsError> {
        Some(&self.server_name).filter(|name| !name.is_empty()).map(|name| parse_server_name(name)).transpose()
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let key_given = !self.key_pem.is_empty();
        for (text, file, message) in [
            (!self.ca_pem.is_empty(), &self.ca_file, "at most one of ca_pem and ca_file must be configured"),
            (!self.cert_pem.is_empty(), &self.cert_file, "at most one of cert_pem and cert_file must be configured"),
            (key_given, &self.key_file, "at most one of key_pem and key_file must be configured"),
        ] {
            if text && !file.is_empty() {
                return Err(Invalid::block(message));
            }
        }
        let certificate = !self.cert_pem.is_empty() || !self.cert_file.is_empty();
        let key = key_given || !self.key_file.is_empty();
        if certificate != key {
            return Err(Invalid::block(if certificate {
                "exactly one of key_pem or key_file must be configured when a client certificate is configured"
            } else {
                "exactly one of cert_pem or cert_file must be configured when a client key is configured"
            }));
        }
        self.server_name().map_err(|error| Invalid::attribute("server_name", error.to_string()))?;
        // What stands in the configuration itself is judged now, what stands in files when they are read.
        if !self.has_files() {
            let made = self.material().and_then(|material| self.client_config(&material));
            made.map_err(|error| Invalid::block(error.to_string()))?;
        }
        Ok(())
    }
}

fn given_or_read(text: &str, attribute: &'static str, file: &str) -> Result<Vec<u8>, TlsError> {
    if file.is_empty() {
        return Ok(text.as_bytes().to_vec());
    }
    let path = Path::new(file);
    secret_file::read(path).map_err(|error| TlsError::Io { attribute, path: path.to_owned(), error })
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| TlsError::Pem { what, error })?;
    if read.is_empty() { Err(TlsError::NoCertificate(what)) } else { Ok(read) }
}
