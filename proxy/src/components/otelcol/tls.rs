//! The `tls` block of a client.

use alloy_syntax::{Arguments, Invalid, Secret};

use crate::tls::Version;
use crate::upstream::http_client::TlsConfigArguments;

/// What may stand in the block, by the collector's names. Files are read once.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = TlsArguments::validate)]
#[alloy(unsupported(
    "cipher_suites",
    "curve_preferences",
    "include_insecure_cipher_suites",
    "include_system_ca_certs_pool",
    "max_version",
    "min_version",
    "reload_interval",
    "tpm"
))]
pub(super) struct TlsArguments {
    /// Whether gRPC goes without TLS; over HTTP the URL says so.
    #[alloy(attr, optional)]
    pub insecure: bool,
    /// Whether any certificate is good.
    #[alloy(attr, optional)]
    insecure_skip_verify: bool,
    /// The name that the server must prove to have, where it is not the endpoint's.
    #[alloy(attr, optional)]
    server_name: String,
    /// The certificates of the authorities to trust instead of the system's, in PEM form.
    #[alloy(attr, optional)]
    ca_pem: String,
    /// A file that holds them.
    #[alloy(attr, optional)]
    ca_file: String,
    /// The client's certificates in PEM form: its own first.
    #[alloy(attr, optional)]
    cert_pem: String,
    /// A file that holds them.
    #[alloy(attr, optional)]
    cert_file: String,
    /// The certificate's private key in PEM form.
    #[alloy(attr, optional)]
    key_pem: Secret,
    /// A file that holds it.
    #[alloy(attr, optional)]
    key_file: String,
}

impl TlsArguments {
    /// The same by the names that the other clients have for it.
    pub(super) fn config(&self) -> TlsConfigArguments {
        TlsConfigArguments {
            ca_pem: self.ca_pem.clone(),
            ca_file: self.ca_file.clone(),
            cert_pem: self.cert_pem.clone(),
            cert_file: self.cert_file.clone(),
            key_pem: self.key_pem.clone(),
            key_file: self.key_file.clone(),
            server_name: self.server_name.clone(),
            insecure_skip_verify: self.insecure_skip_verify,
            min_version: Version::Tls12,
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.config().validate()
    }
}
