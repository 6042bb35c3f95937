//! The lines of Go's functions, and the functions that were inlined into them.

use std::collections::HashMap;

use super::super::source::{Inlined, LineRow, SourceMap};
use super::super::strings::{Place, Strings};
use super::table::{Function, MAX_STEPS, Steps, Table, read_u32};

/// Functions that are inlined into each other.
const MAX_DEPTH: usize = 64;
/// Bytes of one in the tree: what it is, name, where it is called, where it is declared.
const ENTRY: usize = 16;

pub(super) struct Lines<'a> {
    table: &'a Table<'a>,
    trees: Option<Vec<u8>>,
    base: u64,
    source: &'a mut SourceMap,
    /// Steps through values that are left.
    steps: usize,
    /// Of the names of files; most functions of a package come one after the other.
    last_file: (usize, Place),
}

impl<'a> Lines<'a> {
    pub(super) fn new(table: &'a Table<'a>, trees: Option<Vec<u8>>, base: u64, source: &'a mut SourceMap) -> Self {
        Self { table, trees, base, source, steps: MAX_STEPS, last_file: (0, 0) }
    }

    /// Adds the lines of a function, and says where it is declared: file and line.
    pub(super) fn add(&mut self, function: &Function, strings: &mut Strings) -> (Place, u32) {
        let Some(start) = function.start.checked_sub(self.base).and_then(|start| u32::try_from(start).ok()) else {
            return (0, 0);
        };
        let length = u32::try_from(function.end - function.start).unwrap_or(u32::MAX);
        let files = self.table.steps(function.files, length, &mut self.steps);
        let lines = self.table.steps(function.lines, length, &mut self.steps);
        let rows = self.rows(function, &files, &lines, strings);
        let first = rows.first().copied();
        self.add_inlined(function, start, length, &rows, strings);
        let end = LineRow { pc: length, file: 0, line: 0 };
        for row in rows.into_iter().chain([end]) {
            let row = LineRow { pc: start.saturating_add(row.pc), ..row };
            self.source.add_line(row);
        }
        let declared_in = first.map_or(0, |row| row.file);
        let line = if function.line > 0 { function.line } else { first.map_or(0, |row| row.line) };
        (declared_in, line)
    }

    /// Addresses are counted from the function's beginning.
    fn rows(&mut self, function: &Function, files: &Steps, lines: &Steps, strings: &mut Strings) -> Vec<LineRow> {
        let mut rows: Vec<LineRow> = Vec::new();
        let (mut files, mut lines) = (files.iter().peekable(), lines.iter().peekable());
        let (mut file, mut line) = (0, 0);
        while let Some(pc) = [files.peek(), lines.peek()].into_iter().flatten().map(|(pc, _)| *pc).min() {
            if let Some((_, number)) = files.next_if(|(at, _)| *at == pc) {
                file = self.file(function, *number, strings);
            }
            if let Some((_, number)) = lines.next_if(|(at, _)| *at == pc) {
                line = u32::try_from(*number).unwrap_or_default();
            }
            rows.push(LineRow { pc, file, line });
        }
        rows
    }

    fn file(&mut self, function: &Function, number: i32, strings: &mut Strings) -> Place {
        let Some(name) = self.table.file(function, number) else { return 0 };
        let at = name.as_ptr() as usize;
        if self.last_file.0 != at {
            self.last_file = (at, strings.add_terminated(name, 0));
        }
        self.last_file.1
    }

    fn add_inlined(&mut self, function: &Function, start: u32, length: u32, rows: &[LineRow], strings: &mut Strings) {
        let (Some(values), Some(tree)) = (function.inlined, function.inlined_tree) else { return };
        let places = self.table.steps(values, length, &mut self.steps);
        let Some(trees) = self.trees.take() else { return };
        let tree = usize::try_from(tree).ok().and_then(|from| trees.get(from..)).unwrap_or_default();
        let mut nodes = Nodes { tree, names: self.table.names, places: &places, rows, known: HashMap::new() };
        let mut last = None;
        for (pc, place) in &places {
            let node = nodes.node(*place, 0, self.source, strings);
            if node != last {
                self.source.add_inlined_at(start.saturating_add(*pc), node);
                last = node;
            }
        }
        if last.is_some() {
            self.source.add_inlined_at(start.saturating_add(length), None);
        }
        self.trees = Some(trees);
    }
}

/// The inlined functions of one that is not.
struct Nodes<'n> {
    tree: &'n [u8],
    names: &'n [u8],
    places: &'n Steps,
    rows: &'n [LineRow],
    known: HashMap<i32, Option<u32>>,
}

impl Nodes<'_> {
    fn node(&mut self, place: i32, depth: usize, source: &mut SourceMap, strings: &mut Strings) -> Option<u32> {
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        let from = usize::try_from(place).ok()?.checked_mul(ENTRY)?;
        let [name, call, line] = [4, 8, 12].map(|field| read_u32(self.tree, from.saturating_add(field)));
        let (name, call, line) = (name?, call?, line?);
        // While it is not known it is none: what calls itself ends here.
        self.known.insert(place, None);
        let outer = at(self.places, call, |(pc, _)| *pc).map_or(-1, |(_, outer)| *outer);
        let caller = if depth < MAX_DEPTH { self.node(outer, depth + 1, source, strings) } else { None };
        let call = at(self.rows, call, |row| row.pc);
        let node = source.add_inlined(Inlined {
            name: strings.add_terminated(self.names, name.into()),
            caller,
            call_file: call.map_or(0, |row| row.file),
            call_line: call.map_or(0, |row| row.line),
            line,
        });
        self.known.insert(place, node);
        node
    }
}

/// The last that begins at an address or before.
fn at<T>(rows: &[T], pc: u32, begins: impl Fn(&T) -> u32) -> Option<&T> {
    rows.partition_point(|row| begins(row) <= pc).checked_sub(1).and_then(|last| rows.get(last))
}

#[cfg(test)]
mod tests {
    use super::super::table::Version;
    use super::*;

    const BASE: u64 = 0x1000;

    /// Two functions, main.main and main.inner, as each layout describes them.
    fn tables() -> [(Version, &'static [u8]); 4] {
        [
            (Version::Go12, include_bytes!("../../../../tests/native/go-1.2.pclntab")),
            (Version::Go116, include_bytes!("../../../../tests/native/go-1.16.pclntab")),
            (Version::Go118, include_bytes!("../../../../tests/native/go-1.18.pclntab")),
            (Version::Go120, include_bytes!("../../../../tests/native/go-1.20.pclntab")),
        ]
    }

    #[test]
    fn each_layout_says_the_same_of_functions_and_lines() {
        for (version, bytes) in tables() {
            let table = Table::parse(bytes).unwrap();
            assert_eq!(table.version, version);
            let (mut source, mut strings) = (SourceMap::default(), Strings::new());
            let mut lines = Lines::new(&table, None, BASE, &mut source);
            let mut functions = Vec::new();
            for function in table.functions(BASE) {
                let name = strings.add_terminated(table.names, function.name.into());
                let (file, line) = lines.add(&function, &mut strings);
                functions.push((function.start, function.end, name, file, line));
            }
            source.close();
            let text = |place: Place| String::from_utf8_lossy(strings.at(place)).into_owned();
            let functions: Vec<_> = functions
                .into_iter()
                .map(|(start, end, name, file, line)| (start, end, text(name), text(file), line))
                .collect();
            // The last layout says where a function is declared; of the others it is the first line of its code.
            let declared = if version == Version::Go120 { 9 } else { 10 };
            let function = |start: u64, name: &str| {
                (start, start + 0x100, name.to_owned(), "/go/src/main.go".to_owned(), declared)
            };
            assert_eq!(functions, [function(0x1000, "main.main"), function(0x1100, "main.inner")], "{version:?}");
            let lines: Vec<(u32, String, u32)> =
                source.lines.iter().map(|row| (row.pc, text(row.file), row.line)).collect();
            let row = |pc: u32, line: u32| (pc, "/go/src/main.go".to_owned(), line);
            let end = (0x200, String::new(), 0);
            assert_eq!(lines, [row(0, 10), row(0x20, 12), row(0x100, 10), row(0x120, 12), end], "{version:?}");
        }
    }

    /// Wherever it is cut or changed, it says something or nothing, and takes no more for it.
    #[test]
    fn what_is_damaged_harms_nothing() {
        for (_, bytes) in tables() {
            for place in 0..bytes.len() {
                let mut changed = bytes.to_vec();
                changed[place] ^= 0xff;
                for bytes in [&bytes[..place], &changed] {
                    let Some(table) = Table::parse(bytes) else { continue };
                    let (mut source, mut strings) = (SourceMap::default(), Strings::new());
                    let mut lines = Lines::new(&table, Some(vec![0xff; 64]), BASE, &mut source);
                    let functions = table.functions(BASE).map(|function| lines.add(&function, &mut strings)).count();
                    assert!(functions <= 2 && source.lines.len() < 1000, "{place}");
                }
            }
        }
    }
}
