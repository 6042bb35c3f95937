//! Where the bytes of a recording are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

/// A JFR recording, uncompressed, that any part can be read of.
pub trait Recording {
    /// In bytes.
    ///
    /// # Errors
    /// The file's.
    fn size(&self) -> io::Result<u64>;

    /// Reads bytes from an offset on, and says how many: 0 at the end alone.
    ///
    /// # Errors
    /// The file's.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl Recording for &[u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        io::Read::read(&mut rest, into)
    }
}

impl Recording for Bytes {
    fn size(&self) -> io::Result<u64> {
        self.as_ref().size()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_ref().read_at(into, offset)
    }
}

impl Recording for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}
