//! Which version of Go a program was built with.

use std::fmt;

use super::ElfFile;
use super::exports::bytes;

/// Go 1.x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// It is said in a way that only versions before 1.18 have.
    Before18,
    /// That one.
    Minor(u8),
}

/// The last one whose labels are known. 1.13 is the first that says its version in this way.
const LAST: u8 = 27;
/// The first one with a list of labels (`label.go`, `LabelSet`).
const FIRST_LIST: u8 = 24;

/// `debug/buildinfo`: a magic number, bytes of a pointer, flags; from 32 on the version, behind its length.
const SECTION: &str = ".go.buildinfo";
const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
const FLAGS: usize = 15;
const IS_INLINE: u8 = 2;
const TEXT: usize = 32;
/// Shorter than any length that takes more than one byte; the version alone is some twenty, toolchains add to it.
const LONGEST: usize = 127;

impl Version {
    /// None of one that is not known.
    pub(super) fn of(file: &ElfFile) -> Option<Self> {
        let section = file.section(SECTION)?;
        let size = usize::try_from(section.size).ok()?.min(TEXT + 1 + LONGEST);
        Self::said_in(&bytes(file, section.address, size)?)
    }

    fn said_in(bytes: &[u8]) -> Option<Self> {
        let flags = bytes.strip_prefix(MAGIC).and(bytes.get(FLAGS))?;
        if flags & IS_INLINE == 0 {
            return Some(Self::Before18);
        }
        let (length, text) = bytes.get(TEXT..)?.split_first()?;
        let text = std::str::from_utf8(text.get(..usize::from(*length).min(LONGEST))?).ok()?;
        // `go1.24.1`, `go1.24rc1`, `devel go1.24-abcdef`.
        let (_, minor) = text.split_once("go1.")?;
        let digits = minor.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(minor.len());
        let minor = minor.get(..digits)?.parse().ok()?;
        (18..=LAST).contains(&minor).then_some(Self::Minor(minor))
    }

    /// Else they are a list.
    pub(super) fn labels_are_a_map(self) -> bool {
        match self {
            Self::Before18 => true,
            Self::Minor(minor) => minor < FIRST_LIST,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before18 => formatter.write_str("before 1.18"),
            Self::Minor(minor) => write!(formatter, "1.{minor}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_go_writes_them() {
        let said = |flags: u8, text: &str| {
            let head = [&MAGIC[..], &[8, flags], &[0; 16], &[u8::try_from(text.len()).unwrap()]].concat();
            Version::said_in(&[&head, text.as_bytes()].concat())
        };
        assert_eq!(said(0, ""), Some(Version::Before18));
        for (text, minor) in [
            ("go1.18", Some(18)),
            ("go1.23.4", Some(23)),
            ("go1.24rc1", Some(24)),
            ("devel go1.25-abcdef Mon", Some(25)),
            ("go1.26.1 X:nodwarf5", Some(26)),
            ("go1.28", None),
            ("go2", None),
            ("go1.", None),
        ] {
            assert_eq!(said(2, text), minor.map(Version::Minor), "{text}");
        }
        let maps = [Version::Before18, Version::Minor(23), Version::Minor(24)].map(Version::labels_are_a_map);
        assert_eq!(maps, [true, true, false]);
        assert_eq!(Version::said_in(b"\xff Go buildinf:"), None);
        assert_eq!(Version::said_in(&[0; 64]), None);
    }
}
