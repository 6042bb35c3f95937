//! Certificates made for tests.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::tls::{MutualTls, MutualTlsFiles};

/// An authority that signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, purpose: ExtendedKeyUsagePurpose) -> Identity {
        self.sign_for("localhost", &[purpose])
    }

    fn sign_for(&self, name: &str, purposes: &[ExtendedKeyUsagePurpose]) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = purposes.to_vec();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    pub(crate) fn server(&self) -> Identity {
        self.sign(ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub(crate) fn client(&self) -> Identity {
        self.sign(ExtendedKeyUsagePurpose::ClientAuth)
    }
}

/// A folder with the files of mutual TLS: an authority, and a certificate of it for 127.0.0.1, for both sides.
pub(crate) struct MutualFolder(tempfile::TempDir);

impl MutualFolder {
    pub(crate) fn new(authority: &str) -> Self {
        let (authority, folder) = (Authority::new(authority), tempfile::tempdir().unwrap());
        let both = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let identity = authority.sign_for("127.0.0.1", &both);
        for (name, text) in [("ca", &authority.pem), ("cert", &identity.certificate), ("key", &identity.key)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn files(&self) -> MutualTlsFiles {
        let file = |name| (name, self.0.path().join(name));
        MutualTlsFiles { authorities: file("ca"), certificate: file("cert"), key: file("key") }
    }

    pub(crate) fn tls(&self) -> Arc<MutualTls> {
        Arc::new(MutualTls::new(self.files()).unwrap())
    }
}
