//! Certificates and keys, from the configuration or from files.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::whole_file::{self, WholeFileError};

/// Bytes of a file; a bundle of every public authority has a quarter of it.
const MAX_BYTES: u64 = 1 << 20;

/// Where a text in PEM form is.
#[derive(Debug, Clone, Copy)]
pub(super) enum PemSource<'a> {
    /// In the configuration.
    Inline { attribute: &'static str, text: &'a str },
    /// In a file.
    File { attribute: &'static str, path: &'a Path },
}

/// What changes when a file does.
///
/// The time is that of the inode: it changes with content, owner and permissions, and programs cannot set it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl<'a> PemSource<'a> {
    /// The first inline text that is not empty, or else the file.
    pub(super) fn of<const N: usize>(
        inline: [(&'static str, &'a str); N],
        (attribute, path): (&'static str, &'a str),
    ) -> Self {
        let given = inline.into_iter().find(|(_, text)| !text.is_empty());
        given.map_or(Self::File { attribute, path: Path::new(path) }, |(attribute, text)| Self::Inline {
            attribute,
            text,
        })
    }

    /// The attribute, and the file if it names one: for messages.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Inline { attribute, .. } => (*attribute).to_owned(),
            Self::File { attribute, path } => format!("{attribute} {}", path.display()),
        }
    }

    /// The file's state by now; none for what is no file or is not there.
    pub(super) fn stamp(&self) -> Option<FileStamp> {
        let Self::File { path, .. } = self else { return None };
        let metadata = fs::metadata(path).ok()?;
        Some(FileStamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// The certificates in it: at least one.
    pub(super) fn read_certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let text = self.read()?;
        let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
        let certificates = read.map_err(|error| TlsError::Pem { place: self.place(), error })?;
        if certificates.is_empty() {
            return Err(TlsError::Empty { place: self.place(), what: "certificate", marker: "CERTIFICATE" });
        }
        Ok(certificates)
    }

    /// The first private key in it.
    pub(super) fn read_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let text = self.read()?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            pem::Error::NoItemsFound => {
                TlsError::Empty { place: self.place(), what: "private key", marker: "PRIVATE KEY" }
            }
            error => TlsError::Pem { place: self.place(), error },
        })
    }

    fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::Inline { text, .. } => Ok(text.as_bytes().to_vec()),
            Self::File { path, .. } => read_file(path).map_err(|error| TlsError::Read { place: self.place(), error }),
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    whole_file::read(path, MAX_BYTES).map_err(|error| match error {
        WholeFileError::Io(_, error) => error,
        WholeFileError::NoFile(_) => io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"),
        WholeFileError::TooLarge(..) => io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"),
    })
}
