//! Which lines code comes from.

use std::collections::{HashMap, HashSet};

use gimli::{AttributeValue, DebugLineOffset, LineProgramHeader, Reader as _, Section as _};

use super::super::source::LineRow;
use super::super::strings::{Place, Strings};
use super::units::Program;
use super::{Dwarf, Found, Reader, Unit, names};

/// Longest list of files of a program, in bytes: each of them takes some hundred times as much in memory.
const MAX_HEADER: u64 = 1 << 20;
/// Longest path of a file.
const MAX_PATH: usize = 4 << 10;
/// Most bytes of all programs and headers: more than their section has only if they lie over each other.
const MAX_WORK: u64 = 512 << 20;

pub(super) struct Lines {
    /// Units share their programs.
    read: HashSet<usize>,
    work: u64,
    pub(super) cut: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { read: HashSet::new(), work: 0, cut: false }
    }

    /// Reads the lines of a unit.
    pub(super) fn read(&mut self, files: &mut Files<'_, '_>, found: &mut Found<'_>) -> gimli::Result<()> {
        let Some(offset) = files.program else { return Ok(()) };
        let Some(lengths) = lengths(files.dwarf.debug_line.reader(), offset) else { return Ok(()) };
        self.work = self.work.saturating_add(lengths.header);
        if self.work > MAX_WORK || lengths.header > MAX_HEADER {
            self.cut = true;
            return Ok(());
        }
        let program = files.dwarf.debug_line.program(offset, files.unit.header.address_size(), None, None)?;
        files.header = Some(program.header().clone());
        if !self.read.insert(offset.0) {
            return Ok(());
        }
        self.work = self.work.saturating_add(lengths.program);
        let mut rows = program.rows();
        let mut last = None;
        while let Some((_, row)) = rows.next_row()? {
            let Some(pc) = found.candidates.place(row.address()) else { continue };
            if row.end_sequence() {
                found.source.add_line(LineRow { pc, file: 0, line: 0 });
                last = None;
                continue;
            }
            let file = files.name(row.file_index(), found.strings);
            let line = row.line().and_then(|line| u32::try_from(line.get()).ok()).unwrap_or_default();
            if last != Some((file, line)) {
                found.source.add_line(LineRow { pc, file, line });
                last = Some((file, line));
            }
        }
        Ok(())
    }
}

struct Lengths {
    header: u64,
    program: u64,
}

/// What a program says of itself, before gimli reads its list of files.
fn lengths(section: &Reader<'_>, offset: DebugLineOffset) -> Option<Lengths> {
    let mut rest = *section;
    rest.skip(offset.0).ok()?;
    let (program, format) = rest.read_initial_length().ok()?;
    let version = rest.read_u16().ok()?;
    if version >= 5 {
        rest.skip(2).ok()?;
    }
    let header = rest.read_length(format).ok()?;
    Some(Lengths { header: u64::try_from(header).ok()?, program: u64::try_from(program).ok()? })
}

/// The files of a unit, by number.
pub(super) struct Files<'f, 'd> {
    dwarf: &'f Dwarf<'d>,
    unit: &'f Unit<'d>,
    program: Option<DebugLineOffset>,
    folder: Option<AttributeValue<Reader<'d>>>,
    header: Option<LineProgramHeader<Reader<'d>>>,
    known: HashMap<u64, Place>,
}

impl<'f, 'd> Files<'f, 'd> {
    pub(super) fn new(dwarf: &'f Dwarf<'d>, unit: &'f Unit<'d>, program: Program<'d>) -> Self {
        let (program, folder) = program.unzip();
        Self { dwarf, unit, program, folder: folder.flatten(), header: None, known: HashMap::new() }
    }

    /// Nothing is known before the unit's lines were read.
    pub(super) fn name(&mut self, file: u64, strings: &mut Strings) -> Place {
        if let Some(known) = self.known.get(&file) {
            return *known;
        }
        let place = self.path(file).map_or(0, |path| strings.add(&path));
        self.known.insert(file, place);
        place
    }

    fn path(&self, file: u64) -> Option<Vec<u8>> {
        let text = |value: &AttributeValue<Reader<'d>>| names::text(self.dwarf, self.unit, value).map(until_zero);
        let header = self.header.as_ref()?;
        let file = header.file(file)?;
        let mut path = Vec::new();
        if let Some(folder) = self.folder.as_ref().and_then(text) {
            join(&mut path, folder);
        }
        if let Some(folder) = file.directory(header).as_ref().and_then(text) {
            join(&mut path, folder);
        }
        join(&mut path, text(&file.path_name())?);
        Some(path)
    }
}

fn until_zero(text: &[u8]) -> &[u8] {
    let text = text.get(..MAX_PATH).unwrap_or(text);
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn join(path: &mut Vec<u8>, part: &[u8]) {
    if part.starts_with(b"/") {
        path.clear();
    } else if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend(part);
}
