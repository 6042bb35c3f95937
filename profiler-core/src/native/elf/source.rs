//! Where the bytes of a file come from. What is read is within the file, and no more is allocated than that.

use std::fs::File;
use std::os::unix::fs::FileExt;

use object::pod::{self, Pod};

use super::ElfError;

#[derive(Debug)]
pub(super) struct Source {
    bytes: Bytes,
    /// As it was when it was opened: a file that grows is read up to here, of one that shrinks reading fails.
    length: u64,
}

#[derive(Debug)]
enum Bytes {
    File(File),
    Memory(Vec<u8>),
}

impl Source {
    pub(super) fn file(file: File) -> Result<Self, ElfError> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ElfError::NotRegular);
        }
        Ok(Source { bytes: Bytes::File(file), length: metadata.len() })
    }

    pub(super) fn memory(bytes: Vec<u8>) -> Self {
        let length = bytes.len().try_into().unwrap_or(u64::MAX);
        Source { bytes: Bytes::Memory(bytes), length }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// `size` bytes at `offset`, if they are no more than `limit`.
    pub(super) fn read(&self, what: &'static str, offset: u64, size: u64, limit: u64) -> Result<Vec<u8>, ElfError> {
        self.check(what, offset, size)?;
        let too_large = || ElfError::TooLarge { what, size, limit };
        let length = usize::try_from(size).ok().filter(|_| size <= limit).ok_or_else(too_large)?;
        let mut bytes = vec![0; length];
        self.fill(what, offset, &mut bytes)?;
        Ok(bytes)
    }

    /// `count` structures one after the other; the caller has checked that these are not too many.
    pub(super) fn structures<T: Pod>(&self, what: &'static str, offset: u64, count: u64) -> Result<Vec<T>, ElfError> {
        let one = size_of::<T>();
        let size = u64::try_from(one).unwrap_or(u64::MAX).saturating_mul(count);
        self.check(what, offset, size)?;
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        // Words, because structures have to be aligned.
        let mut words = vec![0_u64; length.div_ceil(size_of::<u64>())];
        let bytes = pod::bytes_of_slice_mut(&mut words).get_mut(..length).unwrap_or_default();
        self.fill(what, offset, bytes)?;
        Ok(pod::slice_from_all_bytes(bytes).map(<[T]>::to_vec).unwrap_or_default())
    }

    fn check(&self, what: &'static str, offset: u64, size: u64) -> Result<(), ElfError> {
        if offset.checked_add(size).is_some_and(|end| end <= self.length) {
            return Ok(());
        }
        Err(ElfError::OutOfFile { what, offset, size, length: self.length })
    }

    fn fill(&self, what: &'static str, offset: u64, into: &mut [u8]) -> Result<(), ElfError> {
        match &self.bytes {
            Bytes::File(file) => file.read_exact_at(into, offset)?,
            Bytes::Memory(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let size = into.len().try_into().unwrap_or(u64::MAX);
                let outside = || ElfError::OutOfFile { what, offset, size, length: self.length };
                let bytes = bytes.get(from..).and_then(|rest| rest.get(..into.len())).ok_or_else(outside)?;
                into.copy_from_slice(bytes);
            }
        }
        Ok(())
    }
}
