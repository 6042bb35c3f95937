//! `.gnu_debuglink`: where the part of a file is that debuggers need.

use std::ffi::CStr;

use super::super::elf::{ElfError, ElfFile};

/// The name of a file, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugLink {
    /// A name in a folder, not a path.
    pub name: Box<str>,
    /// The CRC-32 of the whole file.
    pub crc: u32,
}

/// A name, and a few bytes.
const MAX_SECTION: u64 = 8 << 10;

impl DebugLink {
    /// None where the file names no other, or no name that a file can have.
    ///
    /// # Errors
    /// The section cannot be read.
    pub fn of(file: &ElfFile) -> Result<Option<Self>, ElfError> {
        let Some(section) = file.section(".gnu_debuglink") else { return Ok(None) };
        Ok(Self::parse(&file.section_bytes(section, MAX_SECTION)?))
    }

    /// The name and a zero, filled up to four bytes, and the CRC.
    fn parse(section: &[u8]) -> Option<Self> {
        let name = CStr::from_bytes_until_nul(section).ok()?.to_str().ok()?;
        let crc = section.get((name.len() + 1).next_multiple_of(4)..)?.first_chunk()?;
        let is_name = !name.is_empty() && !name.contains('/') && name != "..";
        is_name.then(|| Self { name: name.into(), crc: u32::from_le_bytes(*crc) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_in_a_folder_is_one() {
        let link = |name: &str| Some(DebugLink { name: name.into(), crc: 0x0403_0201 });
        assert_eq!(DebugLink::parse(b"abc\0\x01\x02\x03\x04"), link("abc"));
        assert_eq!(DebugLink::parse(b"abcd\0\0\0\0\x01\x02\x03\x04"), link("abcd"));
        for section in [
            &b""[..],
            b"abc",
            b"abc\0\x01\x02\x03",
            b"\0\0\0\0\x01\x02\x03\x04",
            b"a/b\0\x01\x02\x03\x04",
            b"..\0\0\x01\x02\x03\x04",
        ] {
            assert_eq!(DebugLink::parse(section), None, "{section:?}");
        }
    }
}
