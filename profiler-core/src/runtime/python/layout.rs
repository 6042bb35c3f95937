//! Where things are in the objects of CPython: offsets in bytes, from the headers of each version for 64 bits, and from
//! 3.13 on from what a process says of itself.

use crate::kernel::{EntryEnd, InFrame};
use crate::native::elf::Machine;
use crate::runtime::memory::ReadMemory;

/// A version: the second number of 3.x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u8);

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "3.{}", self.0)
    }
}

/// Those whose frames are walked.
pub(super) const KNOWN: std::ops::RangeInclusive<Version> = Version(6)..=Version(14);
/// From this one on a process describes its own layout.
const DESCRIBED_FROM: Version = Version(13);

/// Where things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// `_PyRuntimeState`: the first interpreter.
    pub(super) first: u16,
    /// `_PyRuntimeState`: the state of the thread that holds the one lock. Of versions with a lock an interpreter there is
    /// none.
    pub(super) current: Option<u16>,
    /// `PyInterpreterState`: the one after it.
    pub(super) next: u16,
    /// `PyInterpreterState`: the first of its threads' states.
    pub(super) threads: u16,
    pub(super) state: State,
    pub(super) frame: Frame,
    pub(super) code: Code,
    pub(super) text: Text,
    /// `PyTypeObject`: its name.
    pub(super) type_name: u16,
}

/// `PyThreadState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) next: u16,
    pub(super) interpreter: u16,
    pub(super) thread: u16,
    pub(super) frame: u16,
    /// In what `frame` points to (`_PyCFrame`).
    pub(super) loop_frame: Option<u16>,
}

/// `PyFrameObject`, and `_PyInterpreterFrame` from 3.11 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) code: u16,
    pub(super) back: u16,
    pub(super) place: InFrame,
    pub(super) entry: EntryEnd,
}

/// `PyCodeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) file: u16,
    pub(super) name: u16,
    /// From 3.11 on.
    pub(super) qualified: Option<u16>,
    pub(super) line: u16,
    pub(super) lines: u16,
    pub(super) lines_format: Lines,
    /// The first instruction, where the code is in the object itself.
    pub(super) first: u16,
}

/// How lines are said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// `co_lnotab`, until 3.9.
    Steps,
    /// `co_linetable` of 3.10.
    Ranges,
    /// `co_linetable` from 3.11 on.
    Locations,
}

/// `PyASCIIObject`, and `PyCompactUnicodeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) length: u16,
    pub(super) hash: u16,
    pub(super) state: u16,
    /// Where the characters begin, if all are of ASCII.
    pub(super) ascii: u16,
    /// Where all others begin.
    pub(super) other: u16,
}

/// `PyObject.ob_type`.
pub(super) const OBJECT_TYPE: u64 = 8;
/// `PyVarObject.ob_size`.
pub(super) const BYTES_LENGTH: u64 = 16;
/// `PyBytesObject.ob_sval`.
pub(super) const BYTES: u64 = 32;

/// `struct { … } state` of a text: two bits of interning, three of the size of a character, whether it is one object,
/// whether it is ASCII. The same in all versions.
pub(super) const TEXT_KIND: u32 = 0b1_1100;
pub(super) const TEXT_COMPACT: u32 = 1 << 5;
pub(super) const TEXT_ASCII: u32 = 1 << 6;

/// `Include/cpython/unicodeobject.h` (3.6 to 3.8: `Include/unicodeobject.h`): until 3.11 with `wstr` and its length.
const TEXT_WITH_WSTR: Text = Text { length: 16, hash: 24, state: 32, ascii: 48, other: 72 };
const TEXT_WITHOUT_WSTR: Text = Text { length: 16, hash: 24, state: 32, ascii: 40, other: 56 };
/// `Include/cpython/object.h`, all versions.
const TYPE_NAME: u16 = 24;

/// `Include/code.h`, 3.6 and 3.7; `Include/cpython/code.h` from 3.8 on, with `co_posonlyargcount`.
const CODE_3_6: Code =
    Code { file: 96, name: 104, qualified: None, line: 36, lines: 112, lines_format: Lines::Steps, first: 0 };
const CODE_3_8: Code =
    Code { file: 104, name: 112, qualified: None, line: 40, lines: 120, lines_format: Lines::Steps, first: 0 };
/// `Include/cpython/code.h` of 3.11 and 3.12.
const CODE_3_11: Code = Code {
    file: 112,
    name: 120,
    qualified: Some(128),
    line: 72,
    lines: 136,
    lines_format: Lines::Locations,
    first: 184,
};
const CODE_3_12: Code = Code { line: 68, first: 192, ..CODE_3_11 };

/// `Include/frameobject.h`; 3.6 with `f_exc_type` and two more, 3.10 without `f_gen`.
const fn frame_object(place: u16) -> Frame {
    Frame { code: 32, back: 24, place: InFrame::Index(place), entry: EntryEnd::Each }
}

/// `Include/pystate.h`, 3.6, and `Include/cpython/pystate.h`.
const fn state(thread: u16) -> State {
    State { next: 8, interpreter: 16, thread, frame: 24, loop_frame: None }
}

impl Layout {
    /// That of a version which does not describe itself. `first` of 3.6 is not used: it has no `_PyRuntime`.
    fn of(version: Version, machine: Machine) -> Option<Self> {
        // `Include/internal/pycore_runtime.h`, `gilstate.tstate_current` (3.7: of 3.7.4 and later): behind locks and
        // conditions of the C library, whose size is the processor's.
        let by_machine = |x86_64: u16, aarch64: u16| match machine {
            Machine::X86_64 => Some(x86_64),
            Machine::Aarch64 => Some(aarch64),
        };
        let text = TEXT_WITH_WSTR;
        Some(match version.0 {
            6 => Self {
                first: 0,
                next: 0,
                current: None,
                threads: 8,
                state: state(152),
                frame: frame_object(120),
                code: CODE_3_6,
                text,
                type_name: TYPE_NAME,
            },
            7 => Self {
                first: 24,
                next: 0,
                current: by_machine(1480, 1496),
                threads: 8,
                state: state(176),
                frame: frame_object(104),
                code: CODE_3_6,
                text,
                type_name: TYPE_NAME,
            },
            8 | 9 => Self {
                first: 32,
                next: 0,
                current: if version.0 == 8 { by_machine(1368, 1384) } else { by_machine(568, 584) },
                threads: 8,
                state: state(176),
                frame: frame_object(104),
                code: CODE_3_8,
                text,
                type_name: TYPE_NAME,
            },
            10 => Self {
                first: 32,
                next: 0,
                current: by_machine(568, 584),
                threads: 8,
                state: state(176),
                frame: frame_object(96),
                code: Code { lines_format: Lines::Ranges, ..CODE_3_8 },
                text,
                type_name: TYPE_NAME,
            },
            // `Include/internal/pycore_frame.h`, `pycore_interp.h`, and `_PyCFrame` of `Include/cpython/pystate.h`.
            11 => Self {
                first: 40,
                next: 0,
                current: by_machine(576, 592),
                threads: 16,
                state: State { next: 8, interpreter: 16, thread: 152, frame: 56, loop_frame: Some(8) },
                frame: Frame { code: 32, back: 48, place: InFrame::Address(56), entry: EntryEnd::Marked(68) },
                code: CODE_3_11,
                text,
                type_name: TYPE_NAME,
            },
            12 => Self {
                first: 40,
                next: 0,
                current: None,
                threads: 72,
                state: State { next: 8, interpreter: 16, thread: 136, frame: 56, loop_frame: Some(0) },
                frame: Frame { code: 0, back: 8, place: InFrame::Address(56), entry: EntryEnd::Beyond(70) },
                code: CODE_3_12,
                text: TEXT_WITHOUT_WSTR,
                type_name: TYPE_NAME,
            },
            _ => return None,
        })
    }

    /// That of a process, whose `_PyRuntime` is at this address.
    pub(super) fn of_process(
        version: Version,
        machine: Machine,
        memory: &dyn ReadMemory,
        runtime: u64,
    ) -> Result<Self, LayoutError> {
        if version < DESCRIBED_FROM {
            return Self::of(version, machine).ok_or(LayoutError::Version);
        }
        Self::described(version, &memory.words(runtime, DESCRIPTION_WORDS))
    }

    /// `_Py_DebugOffsets`, of `Include/internal/pycore_runtime.h` (3.13) and `pycore_debug_offsets.h` (3.14): groups of
    /// words, of which the first is the size of what they describe.
    fn described(version: Version, words: &[u64]) -> Result<Self, LayoutError> {
        let is_later = version > DESCRIBED_FROM;
        let mut groups = Groups { words };
        let [cookie, said, free_threaded] = groups.next()?;
        if cookie != u64::from_le_bytes(*b"xdebugpy") {
            return Err(LayoutError::Silent);
        }
        // PY_VERSION_HEX
        if said >> 16 != 0x0300 | u64::from(version.0) {
            return Err(LayoutError::OtherVersion);
        }
        if free_threaded != 0 {
            return Err(LayoutError::FreeThreaded);
        }
        let [_size, _finalizing, interpreters] = groups.next()?;
        let [_size, _id, following, threads] = groups.next()?;
        groups.skip(if is_later { 12 } else { 9 })?;
        let [_size, _prev, next, interpreter, innermost, thread, _native, _datastack, _status] = groups.next()?;
        let [_size, back, code, place, _locals, owner] = groups.next()?;
        groups.skip(if is_later { 2 } else { 0 })?;
        let [_size, file, name, qualified, lines, line, _arguments, _names, _kinds, first] = groups.next()?;
        groups.skip(usize::from(is_later))?;
        let [_size, _type] = groups.next()?;
        let [_size, type_name, _repr, _flags] = groups.next()?;
        // Tuples, lists, sets (3.14), dictionaries, floats, integers, bytes.
        groups.skip(3 + 3 + if is_later { 4 } else { 0 } + 3 + 2 + 3 + 3)?;
        let [_size, text_state, length, ascii] = groups.next()?;
        Ok(Self {
            first: offset(interpreters)?,
            next: offset(following)?,
            current: None,
            threads: offset(threads)?,
            state: State {
                next: offset(next)?,
                interpreter: offset(interpreter)?,
                thread: offset(thread)?,
                frame: offset(innermost)?,
                loop_frame: None,
            },
            frame: Frame {
                code: offset(code)?,
                back: offset(back)?,
                place: InFrame::Address(offset(place)?),
                entry: EntryEnd::Beyond(offset(owner)?),
            },
            code: Code {
                file: offset(file)?,
                name: offset(name)?,
                qualified: Some(offset(qualified)?),
                line: offset(line)?,
                lines: offset(lines)?,
                lines_format: Lines::Locations,
                first: offset(first)?,
            },
            text: Text {
                length: offset(length)?,
                // The word before the state.
                hash: offset(text_state.wrapping_sub(8))?,
                state: offset(text_state)?,
                ascii: offset(ascii)?,
                // `PyCompactUnicodeObject` has two words more.
                other: offset(ascii.wrapping_add(16))?,
            },
            type_name: offset(type_name)?,
        })
    }
}

/// What is looked for is in the first 32 KiB of its object.
fn offset(word: u64) -> Result<u16, LayoutError> {
    u16::try_from(word).ok().filter(|offset| *offset < 1 << 15).ok_or(LayoutError::Silent)
}

/// More than are read of any version's.
const DESCRIPTION_WORDS: usize = 96;

/// Why nothing is known of a process' objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LayoutError {
    #[error("this version is not known")]
    Version,
    #[error("it does not describe its objects")]
    Silent,
    #[error("it is of another version than its file says")]
    OtherVersion,
    #[error("it is built without the global lock")]
    FreeThreaded,
}

struct Groups<'w> {
    words: &'w [u64],
}

impl Groups<'_> {
    fn next<const N: usize>(&mut self) -> Result<[u64; N], LayoutError> {
        let (group, rest) = self.words.split_first_chunk().ok_or(LayoutError::Silent)?;
        self.words = rest;
        Ok(*group)
    }

    fn skip(&mut self, words: usize) -> Result<(), LayoutError> {
        self.words = self.words.get(words..).ok_or(LayoutError::Silent)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first words of `_PyRuntime`, of Debian's programs.
    fn words(version: u8) -> Vec<u64> {
        let text = match version {
            13 => include_str!("../../../tests/python/3.13.offsets"),
            _ => include_str!("../../../tests/python/3.14.offsets"),
        };
        text.split_ascii_whitespace().map(|word| u64::from_str_radix(word, 16).unwrap()).collect()
    }

    /// What `offsetof` gives with the headers of these versions.
    #[test]
    fn a_process_says_what_its_headers_say() {
        for (minor, first, next, owner, first_instruction) in [(13, 632, 7264, 70, 200), (14, 808, 7272, 74, 208)] {
            let expected = Layout {
                first,
                next,
                current: None,
                threads: 7344,
                state: State { next: 8, interpreter: 16, thread: 152, frame: 72, loop_frame: None },
                frame: Frame { code: 0, back: 8, place: InFrame::Address(56), entry: EntryEnd::Beyond(owner) },
                code: Code { line: 68, first: first_instruction, ..CODE_3_11 },
                text: TEXT_WITHOUT_WSTR,
                type_name: TYPE_NAME,
            };
            assert_eq!(Layout::described(Version(minor), &words(minor)), Ok(expected), "3.{minor}");
        }
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let words = words(14);
        let changed = |place: usize, word: u64| {
            let mut words = words.clone();
            words[place] = word;
            Layout::described(Version(14), &words).unwrap_err()
        };
        assert_eq!(changed(0, 0), LayoutError::Silent);
        assert_eq!(changed(1, 0x030d_05f0), LayoutError::OtherVersion);
        assert_eq!(changed(2, 1), LayoutError::FreeThreaded);
        assert_eq!(changed(26, 1 << 20), LayoutError::Silent);
        for length in 0..80 {
            assert_eq!(Layout::described(Version(14), &words[..length]), Err(LayoutError::Silent), "{length} words");
        }
    }
}
