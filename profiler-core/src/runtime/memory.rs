//! Memory of a process, which belongs to strangers: any word of it may be anything, and may change while it is read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Something that has addresses.
pub trait ReadMemory {
    /// Fills `into` with what is at an address; false where not all of it is there.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;

    /// The word at an address.
    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }

    /// The pointer at an address; none of one that points nowhere.
    fn pointer(&self, address: u64) -> Option<u64> {
        self.word(address).filter(|pointer| *pointer != 0)
    }

    /// The words from an address on, as far as they are there.
    fn words(&self, address: u64, count: usize) -> Vec<u64> {
        let mut bytes = vec![0; count * 8];
        if self.read(address, &mut bytes) {
            return bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        }
        // Up to the page that is missing.
        (0..count as u64).map_while(|place| self.word(address.checked_add(place * 8)?)).collect()
    }

    /// The text at an address up to its zero, within so many bytes.
    fn terminated(&self, address: u64, longest: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; longest];
        if !self.read(address, &mut bytes) {
            return None;
        }
        let end = bytes.iter().position(|byte| *byte == 0)?;
        bytes.truncate(end);
        Some(bytes)
    }
}

/// The memory of a process that runs. A process that runs another program has another memory, and this one is empty then.
#[derive(Debug)]
pub struct ProcessMemory(File);

impl ProcessMemory {
    /// Opens it.
    ///
    /// # Errors
    /// The process is gone, or may not be looked at.
    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Self(File::open(format!("/proc/{pid}/mem"))?))
    }
}

impl ReadMemory for ProcessMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.0.read_exact_at(into, address).is_ok()
    }
}
