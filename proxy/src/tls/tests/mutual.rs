//! Files of both sides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::ExtendedKeyUsagePurpose;

use super::certificates::Authority;
use crate::tls::{MutualTls, MutualTlsFiles};

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

#[test]
fn files_that_change_are_read_again_and_the_last_good_ones_stay() {
    let (folder, other) = (MutualFolder::new("one"), MutualFolder::new("other"));
    let tls = MutualTls::new(folder.files()).unwrap();
    let first = tls.sides_at(Instant::now());
    let replace = |name: &str| std::fs::copy(other.0.path().join(name), folder.0.path().join(name)).unwrap();
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    // The key of another certificate.
    replace("key");
    assert!(Arc::ptr_eq(&tls.sides_at(later(5)), &first));
    replace("cert");
    replace("ca");
    let second = tls.sides_at(later(10));
    assert!(!Arc::ptr_eq(&second, &first));
    assert!(Arc::ptr_eq(&tls.sides_at(later(15)), &second), "what did not change is not read again");
}
