//! Which version a file is of, and where things are in its functions: offsets in bytes, from the headers of each version for
//! builds of 64 bits. What is the same in all versions stands beside who reads it, here and in `bpf/php.h`.

use crate::native::elf::ElfFile;

/// In `executor_globals`, of all known versions: `function_table`, `current_execute_data` (`zend_globals.h`).
pub(super) const FUNCTIONS: u64 = 432;
pub(super) const CURRENT_FRAME: u64 = 488;

/// Largest section that is looked through, in bytes.
const MAX_CONSTANTS: u64 = 64 << 20;
/// `SAPI_PHP_VERSION_HEADER`, which every build has, up to the version.
const HEADER: &[u8] = b"X-Powered-By: PHP/";

/// A version: the first two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

impl Version {
    /// Those that have a layout.
    pub(super) const KNOWN: [Self; 6] = [Self(7, 4), Self(8, 0), Self(8, 1), Self(8, 2), Self(8, 3), Self(8, 4)];

    /// Whether opcache can make machine code: from the first version of its compiler on.
    pub(super) fn makes_code(self) -> bool {
        self >= Self(8, 0)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

/// The version that a file says.
pub(super) fn version(file: &ElfFile) -> Option<Version> {
    let constants = file.section_bytes(file.section(".rodata")?, MAX_CONSTANTS).ok()?;
    said_in(&constants)
}

fn said_in(constants: &[u8]) -> Option<Version> {
    // The longest number, a dot and another one.
    const LONGEST: usize = 2 * 10 + 1;
    let begins = constants.windows(HEADER.len()).enumerate().filter(|(_, bytes)| *bytes == HEADER);
    begins.map(|(place, _)| place + HEADER.len()).find_map(|place| {
        let rest = constants.get(place..)?;
        let text = std::str::from_utf8(rest.get(..rest.len().min(LONGEST))?.split(|byte| *byte == 0).next()?).ok()?;
        let mut numbers = text.split(|character: char| !character.is_ascii_digit());
        Some(Version(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

/// Where things are in a function that is written in PHP (`zend_op_array`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// `opcodes`
    pub(super) first: u16,
    /// `last`
    pub(super) count: u16,
    /// `filename`
    pub(super) file: u16,
    /// `line_start`, and `line_end` behind it.
    pub(super) line: u16,
}

impl Layout {
    /// Of a version that is known (`zend_compile.h`).
    pub(super) fn of(version: Version) -> Option<Self> {
        let layout = |count, first, file| Self { first, count, file, line: file + 8 };
        match version {
            Version(7, 4) => Some(layout(60, 64, 136)),
            // With `attributes`.
            Version(8, 0 | 1) => Some(layout(68, 72, 144)),
            // `T` and `run_time_cache` are common to functions of PHP and of C, in this order,
            Version(8, 2) => Some(layout(80, 88, 152)),
            // and in the other one, which leaves no gap.
            Version(8, 3) => Some(layout(76, 80, 144)),
            // `doc_comment` and `prop_info` are common, too.
            Version(8, 4) => Some(layout(96, 104, 168)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_what_stands_behind_the_header() {
        let version = |text: &[u8]| said_in(text).map(|version| version.to_string());
        assert_eq!(version(b"\0PHP/7.1\0X-Powered-By: PHP/8.4.28\0"), Some("8.4".to_owned()));
        assert_eq!(version(b"X-Powered-By: PHP/\0X-Powered-By: PHP/10.12-dev"), Some("10.12".to_owned()));
        assert_eq!(version(b"X-Powered-By: PHP/8"), None);
        assert_eq!(version(b"X-Powered-By: PHP/99999999999.1.0"), None);
    }

    #[test]
    fn code_is_made_from_the_first_compiler_on() {
        assert!(!Version(7, 4).makes_code() && Version(8, 0).makes_code() && Version(8, 4).makes_code());
        assert_eq!(Layout::of(Version(8, 5)), None);
    }
}
