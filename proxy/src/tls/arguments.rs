//! The `tls` block of a listener.

use alloy_syntax::{Arguments, Invalid, Secret};

use super::names::{CipherSuites, ClientAuth, Curve, Version};
use super::pem::PemSource;

/// What may stand in the block. Paths are relative to the folder that the process runs in.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = TlsArguments::validate)]
#[alloy(unsupported("windows_certificate_filter"))]
pub struct TlsArguments {
    /// The server's certificates in PEM form: its own first, then those up to the root.
    #[alloy(attr, optional)]
    cert_pem: String,
    /// A file that holds them; read again when it changes.
    #[alloy(attr, optional)]
    cert_file: String,
    /// The certificate's private key in PEM form: PKCS #8, PKCS #1 or SEC 1, without a password.
    #[alloy(attr, optional)]
    key_pem: Secret,
    /// A file that holds it; read again when it changes.
    #[alloy(attr, optional)]
    key_file: String,
    /// The certificates of those who may sign clients' certificates, in PEM form.
    #[alloy(attr, optional)]
    client_ca_pem: String,
    /// Another name of `client_ca_pem`.
    #[alloy(attr, optional)]
    client_ca: String,
    /// A file that holds them; read again when it changes.
    #[alloy(attr, optional)]
    client_ca_file: String,
    /// What is asked of a client's certificate.
    #[alloy(attr, optional)]
    pub(super) client_auth_type: ClientAuth,
    /// Cipher suites of TLS 1.2; none named: all that are safe. Those of TLS 1.3 cannot be chosen.
    #[alloy(attr, optional)]
    pub(super) cipher_suites: CipherSuites,
    /// Elliptic curves, the most wanted first; none named: all that there are.
    #[alloy(attr, optional)]
    pub(super) curve_preferences: Vec<Curve>,
    /// The oldest version that is spoken.
    #[alloy(attr, default = Version::Tls12)]
    pub(super) min_version: Version,
    /// The newest version that is spoken.
    #[alloy(attr, default = Version::Tls13)]
    pub(super) max_version: Version,
}

impl TlsArguments {
    /// Where the server's certificates are.
    pub(super) fn certificates(&self) -> PemSource<'_> {
        PemSource::of([("cert_pem", &self.cert_pem)], ("cert_file", &self.cert_file))
    }

    /// Where its key is.
    pub(super) fn key(&self) -> PemSource<'_> {
        PemSource::of([("key_pem", self.key_pem.expose())], ("key_file", &self.key_file))
    }

    /// Where the certificates of clients' authorities are; none if there are none.
    pub(super) fn authorities(&self) -> Option<PemSource<'_>> {
        let inline = [("client_ca_pem", self.client_ca_pem.as_str()), ("client_ca", self.client_ca.as_str())];
        let given = self.authority_attribute().is_some();
        given.then(|| PemSource::of(inline, ("client_ca_file", &self.client_ca_file)))
    }

    fn authority_attribute(&self) -> Option<&'static str> {
        let given = [
            ("client_ca_pem", &self.client_ca_pem),
            ("client_ca", &self.client_ca),
            ("client_ca_file", &self.client_ca_file),
        ];
        given.into_iter().find(|(_, text)| !text.is_empty()).map(|(name, _)| name)
    }

    fn validate(&self) -> Result<(), Invalid> {
        let has = |text: &str| !text.is_empty();
        let (certificate, key) = (has(&self.cert_pem), !self.key_pem.is_empty());
        let pairs = [
            ("cert_pem", certificate, "cert_file", has(&self.cert_file)),
            ("key_pem", key, "key_file", has(&self.key_file)),
            ("client_ca_pem", has(&self.client_ca_pem), "client_ca_file", has(&self.client_ca_file)),
            ("client_ca_pem", has(&self.client_ca_pem), "client_ca", has(&self.client_ca)),
            ("client_ca", has(&self.client_ca), "client_ca_file", has(&self.client_ca_file)),
        ];
        for (one, has_one, other, has_other) in pairs {
            if has_one && has_other {
                return Err(Invalid::attribute(other, format!("cannot specify both {one} and {other}: remove one")));
            }
        }
        if !certificate && !has(&self.cert_file) {
            return Err(Invalid::block("must specify either cert_pem or cert_file"));
        }
        if !key && !has(&self.key_file) {
            return Err(Invalid::block("must specify either key_pem or key_file"));
        }
        self.validate_client_auth()?;
        if self.max_version < self.min_version {
            return Err(Invalid::attribute("max_version", "must not be older than min_version"));
        }
        if super::server::versions(self).is_empty() {
            let message = "names no suite of TLS 1.2, and max_version allows nothing newer: name one, or remove either";
            return Err(Invalid::attribute("cipher_suites", message));
        }
        Ok(())
    }

    fn validate_client_auth(&self) -> Result<(), Invalid> {
        match (self.authority_attribute(), self.client_auth_type) {
            (Some(attribute), ClientAuth::NoClientCert) => Err(Invalid::attribute(
                attribute,
                "says who signs clients' certificates, which client_auth_type = \"NoClientCert\" does not ask for: set \
                 client_auth_type = \"RequireAndVerifyClientCert\", or remove it",
            )),
            // Go would take the system's certificates: whoever has a public one could come in.
            (None, auth) if auth.verifies() => Err(Invalid::attribute(
                "client_auth_type",
                "verifies clients' certificates, and nothing says who signs them: give client_ca_pem or client_ca_file",
            )),
            _ => Ok(()),
        }
    }
}
