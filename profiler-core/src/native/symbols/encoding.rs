//! How a table is written down: rows of words by rising addresses, and an index of them.

use std::io::{self, Write};

use super::SymbolTable;
use super::functions::Function;
use super::source::{Inlined, LineRow, SourceMap};
use crate::native::elf::FileId;

/// The file begins with it; its last byte is the version.
pub(super) const MAGIC: [u8; 8] = *b"FGSYMB\0\x01";
/// Magic, identity, base, five counts, and the digest of all that and the index.
pub(super) const HEADER: usize = 8 + 16 + 8 + 5 * 4 + 4;
/// Of each so many rows the index holds the first one's address: a block of rows is read at once.
pub(super) const BLOCK: usize = 128;
/// Words of a row.
pub(super) const FUNCTION: usize = 5;
pub(super) const LINE: usize = 3;
pub(super) const INLINED_AT: usize = 2;
pub(super) const INLINED: usize = 5;

impl SymbolTable {
    /// Writes the table of a file for [`super::SymbolFile`].
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, id: FileId, to: &mut impl Write) -> io::Result<()> {
        let SourceMap { lines, inlined_at, inlined, .. } = &self.source;
        let mut head = Vec::new();
        head.extend(MAGIC);
        head.extend(id.0);
        head.extend(self.base.to_le_bytes());
        let strings = self.strings.bytes();
        for count in [self.functions.len(), lines.len(), inlined_at.len(), inlined.len(), strings.len()] {
            head.extend(u32::try_from(count).map_err(io::Error::other)?.to_le_bytes());
        }
        let functions = self.functions.iter().map(function);
        let lines = lines.iter().map(line);
        let inlined_at = inlined_at.iter().map(|(pc, inlined)| [*pc, reference(*inlined)]);
        let index =
            first_words(functions.clone()).chain(first_words(lines.clone())).chain(first_words(inlined_at.clone()));
        let index: Vec<u8> = index.flat_map(u32::to_le_bytes).collect();
        let mut digest = crc32fast::Hasher::new();
        digest.update(&head);
        digest.update(&index);
        head.extend(digest.finalize().to_le_bytes());
        to.write_all(&head)?;
        to.write_all(&index)?;
        write_rows(functions, to)?;
        write_rows(lines, to)?;
        write_rows(inlined_at, to)?;
        write_rows(inlined.iter().map(inlined_function), to)?;
        to.write_all(strings)
    }
}

fn function(function: &Function) -> [u32; FUNCTION] {
    [function.start, function.end, function.name, function.file, function.line]
}

fn line(row: &LineRow) -> [u32; LINE] {
    [row.pc, row.file, row.line]
}

fn inlined_function(inlined: &Inlined) -> [u32; INLINED] {
    [inlined.name, reference(inlined.caller), inlined.call_file, inlined.call_line, inlined.line]
}

/// Zero is none.
fn reference(place: Option<u32>) -> u32 {
    place.map_or(0, |place| place.saturating_add(1))
}

fn first_words<const N: usize>(rows: impl Iterator<Item = [u32; N]>) -> impl Iterator<Item = u32> {
    rows.step_by(BLOCK).filter_map(|row| row.first().copied())
}

fn write_rows<const N: usize>(rows: impl Iterator<Item = [u32; N]>, to: &mut impl Write) -> io::Result<()> {
    for word in rows.flatten() {
        to.write_all(&word.to_le_bytes())?;
    }
    Ok(())
}
