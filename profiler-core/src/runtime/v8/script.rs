//! Scripts of a process: what they are called, and where their lines end.

use super::heap::Heap;
use super::text;

/// A script, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) file: String,
    /// That of the script's beginning, counted from 0.
    first_line: u32,
    /// Where each line but the last ends, in characters.
    ends: Vec<u32>,
    /// What it is told by from another one in its place.
    id: u64,
}

/// Longest path, in characters.
const MAX_PATH: usize = 4096;
/// Longest source that is read, in characters, and how many of them at once.
const MAX_SOURCE: usize = 16 << 20;
const PIECE: usize = 64 << 10;
/// Lines of one script.
const MAX_LINES: usize = 256 << 10;
/// Modules are named by URLs.
const SCHEME: &str = "file://";

impl Script {
    /// None where there is no script.
    pub(super) fn read(heap: Heap<'_>, script: u64) -> Option<Self> {
        let layout = &heap.layout.script;
        (heap.kind(script)? == heap.layout.types.script).then_some(())?;
        let id = Self::id(heap, script)?;
        let name = heap.field(script, layout.name).and_then(|name| text::read(heap, name, MAX_PATH));
        let name = name.map(|name| name.to_string()).unwrap_or_default();
        let file = name.strip_prefix(SCHEME).unwrap_or(&name).to_owned();
        let first_line = heap.number(script, layout.first_line).and_then(|line| u32::try_from(line).ok());
        let ends = heap.field(script, layout.source).map(|source| line_ends(heap, source)).unwrap_or_default();
        (Self::id(heap, script)? == id).then_some(Self { file, first_line: first_line.unwrap_or(0), ends, id })
    }

    /// Whether it is still this one that is there.
    pub(super) fn is_there(&self, heap: Heap<'_>, script: u64) -> bool {
        heap.kind(script) == Some(heap.layout.types.script) && Self::id(heap, script) == Some(self.id)
    }

    /// Line and column of a place, counted from 1.
    pub(super) fn place(&self, offset: u32) -> (u32, u32) {
        let before = self.ends.partition_point(|end| *end < offset);
        let start = before.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |end| end + 1);
        let line = (before as u32).saturating_add(self.first_line).saturating_add(1);
        (line, offset.saturating_sub(start).saturating_add(1))
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + self.file.len() + self.ends.len() * size_of::<u32>()
    }

    fn id(heap: Heap<'_>, script: u64) -> Option<u64> {
        heap.field(script, heap.layout.script.id)
    }
}

/// As far as it can be read.
fn line_ends(heap: Heap<'_>, source: u64) -> Vec<u32> {
    let mut ends = Vec::new();
    let mut previous = 0;
    for from in (0..MAX_SOURCE).step_by(PIECE) {
        let Some(piece) = text::part(heap, source, from..from + PIECE) else { break };
        for (unit, at) in piece.units().iter().copied().zip(from..) {
            match unit {
                // The end of a line that began with a return.
                LINE_FEED if previous == RETURN => {
                    if let Some(last) = ends.last_mut() {
                        *last = at as u32;
                    }
                }
                LINE_FEED | RETURN | LINE_SEPARATOR | PARAGRAPH_SEPARATOR => ends.push(at as u32),
                _ => {}
            }
            previous = unit;
        }
        if piece.units().len() < PIECE || ends.len() > MAX_LINES {
            break;
        }
    }
    ends
}

/// `LineTerminator` of ECMA-262.
const LINE_FEED: u16 = 0x0a;
const RETURN: u16 = 0x0d;
const LINE_SEPARATOR: u16 = 0x2028;
const PARAGRAPH_SEPARATOR: u16 = 0x2029;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_editors_do() {
        let script = Script { file: String::new(), first_line: 0, ends: vec![3, 4, 10], id: 0 };
        let places = [(0, (1, 1)), (3, (1, 4)), (4, (2, 1)), (5, (3, 1)), (10, (3, 6)), (11, (4, 1)), (20, (4, 10))];
        for (offset, place) in places {
            assert_eq!(script.place(offset), place, "{offset}");
        }
        assert_eq!(Script { first_line: 7, ..script }.place(5), (10, 1));
    }
}
