//! Which CoreCLR a file is.

use std::fmt;

use object::elf::SHT_NOBITS;

use crate::native::elf::ElfFile;

/// Major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    pub(super) const V9: Self = Self { major: 9, minor: 0 };
    pub(super) const V10: Self = Self { major: 10, minor: 0 };

    /// What each of its files has for tools (`_version.c`).
    pub(super) fn of(file: &ElfFile) -> Option<Self> {
        const SECTIONS: [&str; 3] = [".data", ".rodata", ".data.rel.ro"];
        /// The largest such section of CoreCLR 10 has 1.2 MB.
        const MAX_SECTION: u64 = 16 << 20;
        let sections = SECTIONS.into_iter().filter_map(|name| file.section(name));
        sections
            .filter(|section| section.kind != SHT_NOBITS)
            .find_map(|section| Self::within(&file.section_bytes(section, MAX_SECTION).ok()?))
    }

    fn within(bytes: &[u8]) -> Option<Self> {
        const BEFORE: &[u8] = b"@(#)Version ";
        const LONGEST: usize = 16;
        let at = bytes.windows(BEFORE.len()).position(|part| part == BEFORE)?;
        let text = bytes.get(at + BEFORE.len()..)?;
        let end = text.iter().take(LONGEST).position(|byte| *byte == b' ')?;
        let mut numbers = std::str::from_utf8(text.get(..end)?).ok()?.split('.');
        Some(Self { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
    }

    pub(super) fn is_known(self) -> bool {
        [Self::V9, Self::V10].contains(&self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_files_have_for_tools() {
        let of = |text: &[u8]| Version::within(text);
        assert_eq!(of(b"\0x@(#)Version 9.0.725.31616 @Commit: 3c298d9\0"), Some(Version::V9));
        assert_eq!(of(b"@(#)Version 10.0.926.27113 @Commit: 901ca94\0"), Some(Version::V10));
        assert_eq!(of(b"@(#)Version 9"), None);
        assert_eq!(of(b"@(#)Version a.b.c d"), None);
        assert_eq!(of(b""), None);
    }
}
