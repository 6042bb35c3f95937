//! Addresses looked up in a table where it lies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::encoding::{BLOCK, FUNCTION, HEADER, INLINED, INLINED_AT, LINE, MAGIC};
use crate::native::elf::FileId;

/// Most functions that are inlined into each other at one place.
const MAX_INLINED: usize = 256;
/// Longest table that is read, in bytes.
const MAX_LENGTH: u64 = 2 << 30;
/// As much is read at once of a name; most are shorter.
const SHORT_NAME: usize = 126;

/// Bytes that stay where they are.
pub trait ReadAt {
    /// How many there are.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self) -> io::Result<u64>;

    /// Fills `into` from a place on.
    ///
    /// # Errors
    /// There are fewer, or what the system says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        u64::try_from(self.len()).map_err(io::Error::other)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|from| self.get(from..)?.get(..into.len()));
        into.copy_from_slice(rest.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Why a table is not to be used: it has to be made again.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The system would not read it.
    #[error("the table of symbols cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Another program's file, or another version's.
    #[error("is no table of symbols of this version")]
    Foreign,
    /// Written for another file.
    #[error("is the table of symbols of another file")]
    OtherFile,
    /// What it says of itself cannot be.
    #[error("the table of symbols is damaged: {0}")]
    Damaged(&'static str),
}

/// A function that an address is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location {
    /// As linkers know it, without being demangled.
    pub name: Box<str>,
    /// The source of the code, or what calls the function that was inlined into it. Empty where that is not known.
    pub file: Box<str>,
    /// The line in it; 0: not known.
    pub line: u32,
    /// Where the function begins in its source; 0: not known.
    pub start_line: u32,
}

/// A table that was written down.
#[derive(Debug)]
pub struct SymbolFile<B> {
    bytes: B,
    base: u64,
    functions: Rows,
    lines: Rows,
    inlined_at: Rows,
    inlined: Rows,
    strings: u64,
    strings_length: u64,
}

/// Rows of one sort.
#[derive(Debug)]
struct Rows {
    offset: u64,
    count: usize,
    index: Box<[u32]>,
}

impl<B: ReadAt> SymbolFile<B> {
    /// Opens the table of a file.
    ///
    /// # Errors
    /// It is not that, or not whole.
    pub fn open(bytes: B, id: FileId) -> Result<Self, Damage> {
        let mut header = [0; HEADER];
        let length = bytes.length()?;
        if length < HEADER as u64 {
            return Err(Damage::Foreign);
        }
        if length > MAX_LENGTH {
            return Err(Damage::Damaged("it is too long"));
        }
        bytes.read_at(0, &mut header)?;
        let rest = header.strip_prefix(&MAGIC).ok_or(Damage::Foreign)?;
        let rest = rest.strip_prefix(&id.0).ok_or(Damage::OtherFile)?;
        let (base, rest) = rest.split_first_chunk().ok_or(Damage::Foreign)?;
        let mut words = rest.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        let mut word = || words.next().ok_or(Damage::Foreign);
        let [functions, lines, inlined_at, inlined, strings_length, digest] =
            [word()?, word()?, word()?, word()?, word()?, word()?];

        let mut layout = Layout { offset: HEADER as u64, index: 0 };
        for count in [functions, lines, inlined_at] {
            layout.offset += u64::from(count).div_ceil(BLOCK as u64) * 4;
        }
        let index_length = layout.offset - HEADER as u64;
        if layout.offset > length {
            return Err(Damage::Damaged("it is shorter than its index"));
        }
        let mut index = vec![0; usize::try_from(index_length).map_err(|_| Damage::Damaged("its index is too long"))?];
        bytes.read_at(HEADER as u64, &mut index)?;
        let mut expected = crc32fast::Hasher::new();
        expected.update(header.get(..HEADER - 4).unwrap_or_default());
        expected.update(&index);
        if expected.finalize() != digest {
            return Err(Damage::Damaged("its header is not what was written"));
        }
        let index: Vec<u32> = index.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let file = Self {
            base: u64::from_le_bytes(*base),
            functions: layout.rows(functions, FUNCTION, &index),
            lines: layout.rows(lines, LINE, &index),
            inlined_at: layout.rows(inlined_at, INLINED_AT, &index),
            inlined: layout.rows(inlined, INLINED, &[]),
            strings: layout.offset,
            strings_length: strings_length.into(),
            bytes,
        };
        if file.strings.checked_add(file.strings_length) != Some(length) {
            return Err(Damage::Damaged("it has another length than it says"));
        }
        Ok(file)
    }

    /// Adds the functions that an address of the file is in, those inlined into others before them; none where nothing
    /// is known.
    ///
    /// # Errors
    /// The table is damaged. Nothing was added then.
    pub fn lookup(&self, address: u64, found: &mut Vec<Location>) -> Result<(), Damage> {
        let Some(pc) = address.checked_sub(self.base).and_then(|pc| u32::try_from(pc).ok()) else { return Ok(()) };
        let function = self.find(&self.functions, pc)?.filter(|[_, end, ..]: &[u32; FUNCTION]| pc < *end);
        let Some([_, _, name, function_file, start_line]) = function else { return Ok(()) };
        let [_, mut file, mut line] = self.find::<LINE>(&self.lines, pc)?.unwrap_or_default();
        let mut locations = Vec::new();
        let mut inlined =
            self.find::<INLINED_AT>(&self.inlined_at, pc)?.and_then(|[_, inlined]| inlined.checked_sub(1));
        while let Some(place) = inlined {
            let [name, caller, call_file, call_line, start_line] = self.inlined_at(place)?;
            // Of one without a name only the call is of use.
            if name != 0 {
                locations.push(Location { name: self.text(name)?, file: self.text(file)?, line, start_line });
            }
            (file, line) = (call_file, call_line);
            inlined = caller.checked_sub(1);
            if inlined.is_some_and(|caller| caller >= place) || locations.len() >= MAX_INLINED {
                return Err(Damage::Damaged("an inlined function calls itself"));
            }
        }
        if file == 0 {
            file = function_file;
        }
        locations.push(Location { name: self.text(name)?, file: self.text(file)?, line, start_line });
        found.append(&mut locations);
        Ok(())
    }

    /// What the open table takes, in bytes.
    pub fn footprint(&self) -> usize {
        let words = self.functions.index.len() + self.lines.index.len() + self.inlined_at.index.len();
        size_of::<Self>() + words * size_of::<u32>()
    }

    /// The bytes it is read from.
    pub fn bytes(&self) -> &B {
        &self.bytes
    }

    /// The last row that begins at an address or before.
    fn find<const N: usize>(&self, rows: &Rows, pc: u32) -> Result<Option<[u32; N]>, Damage> {
        let after = rows.index.partition_point(|first| *first <= pc);
        let Some(block) = after.checked_sub(1) else { return Ok(None) };
        let first = block * BLOCK;
        let count = rows.count.saturating_sub(first).min(BLOCK);
        let mut bytes = [[[0_u8; 4]; N]; BLOCK];
        let read = bytes.get_mut(..count).unwrap_or_default();
        self.bytes.read_at(rows.at(first, N), read.as_flattened_mut().as_flattened_mut())?;
        let begins = |row: &[[u8; 4]; N]| row.first().is_some_and(|pc_of_row| u32::from_le_bytes(*pc_of_row) <= pc);
        let row = read.partition_point(begins).checked_sub(1).and_then(|last| read.get(last));
        Ok(row.map(|row| row.map(u32::from_le_bytes)))
    }

    fn inlined_at(&self, place: u32) -> Result<[u32; INLINED], Damage> {
        let place = usize::try_from(place).ok().filter(|place| *place < self.inlined.count);
        let place = place.ok_or(Damage::Damaged("an inlined function is not there"))?;
        let mut bytes = [[0; 4]; INLINED];
        self.bytes.read_at(self.inlined.at(place, INLINED), bytes.as_flattened_mut())?;
        Ok(bytes.map(u32::from_le_bytes))
    }

    fn text(&self, place: u32) -> Result<Box<str>, Damage> {
        if place == 0 {
            return Ok(Box::default());
        }
        let rest = self.strings_length.checked_sub(place.into()).ok_or(Damage::Damaged("a name is not there"))?;
        let mut short = [0; 2 + SHORT_NAME];
        let most = short.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        let offset = self.strings + u64::from(place);
        let read = short.get_mut(..most).unwrap_or_default();
        self.bytes.read_at(offset, read)?;
        let (length, read) = read.split_first_chunk().ok_or(Damage::Damaged("a name is not there"))?;
        let length = usize::from(u16::from_le_bytes(*length));
        if let Some(name) = read.get(..length) {
            return Ok(String::from_utf8_lossy(name).into());
        }
        if 2 + length as u64 > rest {
            return Err(Damage::Damaged("a name is longer than all names"));
        }
        let mut name = vec![0; length];
        self.bytes.read_at(offset + 2, &mut name)?;
        Ok(String::from_utf8_lossy(&name).into())
    }
}

impl Rows {
    fn at(&self, place: usize, words: usize) -> u64 {
        self.offset + (place * words * 4) as u64
    }
}

/// Where rows and their index lie, one sort after the other.
struct Layout {
    offset: u64,
    index: usize,
}

impl Layout {
    fn rows(&mut self, count: u32, words: usize, index: &[u32]) -> Rows {
        let offset = self.offset;
        self.offset += u64::from(count) * words as u64 * 4;
        let count = usize::try_from(count).unwrap_or_default();
        let from = self.index.min(index.len());
        let to = self.index.saturating_add(count.div_ceil(BLOCK)).min(index.len());
        self.index = to;
        Rows { offset, count, index: index.get(from..to).unwrap_or_default().into() }
    }
}
