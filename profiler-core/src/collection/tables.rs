//! The tables of a profile: each text, function, mapping and place once.

use std::collections::HashMap;

use indexmap::IndexSet;

use super::names::{Names, UNKNOWN, of_name};
use crate::kernel::{FileRef, Frame};
use crate::pprof::{self, Label, Line, Location, Mapping, Profile};
use crate::sampler::FileInfo;
use crate::symbolizer::Function;

type Hasher = rapidhash::fast::RandomState;

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    File(FileRef, u64),
    Kernel(u64),
    /// Code that a process wrote.
    Memory(u32, u64),
    /// A function of a runtime in a process.
    Runtime(u32, Frame),
    /// Nothing is known of the address.
    Unmapped(u64),
    /// The walk ended before the outermost frame.
    Lost,
    /// No place: the thread's name, by its text.
    Comm(i64),
}

/// The mapping of frames that have none.
const DUMMY: u64 = 1;
/// Of code that no file stands behind and no one names.
const ANONYMOUS: &str = "[anonymous]";
const KERNEL: &str = "[kernel]";
/// Mappings begin where pages do.
const PAGE: u64 = 4096;

#[derive(PartialEq, Eq, Hash)]
enum MappingKey {
    /// A file, and the first address of the part that is mapped.
    File(FileRef, u64),
    Kernel,
}

pub(super) struct Tables {
    stubs: bool,
    texts: IndexSet<Box<str>, Hasher>,
    mapping_ids: HashMap<MappingKey, u64, Hasher>,
    mappings: Vec<Mapping>,
    function_ids: HashMap<(i64, i64), u64, Hasher>,
    functions: Vec<pprof::Function>,
    location_ids: HashMap<Place, u64, Hasher>,
    locations: Vec<Location>,
}

impl Tables {
    pub(super) fn new(stubs: bool) -> Self {
        let mut texts = IndexSet::default();
        texts.insert("".into());
        Self {
            stubs,
            texts,
            mapping_ids: HashMap::default(),
            mappings: vec![Mapping { id: DUMMY, ..Mapping::default() }],
            function_ids: HashMap::default(),
            functions: Vec::new(),
            location_ids: HashMap::default(),
            locations: Vec::new(),
        }
    }

    pub(super) fn into_profile(self) -> Profile {
        Profile {
            mapping: self.mappings,
            location: self.locations,
            function: self.functions,
            string_table: self.texts.into_iter().map(String::from).collect(),
            ..Profile::default()
        }
    }

    /// The id of a place, which is named when it is met first.
    pub(super) fn location(&mut self, place: &Place, names: &dyn Names) -> u64 {
        if let Some(id) = self.location_ids.get(place) {
            return *id;
        }
        let (mapping_id, address, line) = match *place {
            Place::File(file, address) => self.in_file(file, address, names),
            Place::Kernel(address) => self.in_kernel(address, names),
            Place::Memory(pid, address) => self.in_memory(pid, address, names),
            Place::Runtime(pid, frame) => (DUMMY, 0, self.in_runtime(pid, &frame, names)),
            Place::Unmapped(address) => (DUMMY, address, vec![self.unknown()]),
            Place::Lost => (DUMMY, 0, vec![self.unknown()]),
            Place::Comm(comm) => (DUMMY, 0, vec![self.named(comm)]),
        };
        self.describe(mapping_id, &line);
        let id = next_id(&self.locations);
        self.locations.push(Location { id, mapping_id, address, line, is_folded: false });
        self.location_ids.insert(*place, id);
        id
    }

    pub(super) fn label(&mut self, key: &str, text: &str) -> Label {
        Label { key: self.text(key), str: self.text(text), num: 0, num_unit: 0 }
    }

    pub(super) fn text(&mut self, text: &str) -> i64 {
        let place = self.texts.get_index_of(text).unwrap_or_else(|| self.texts.insert_full(text.into()).0);
        i64::try_from(place).unwrap_or_default()
    }

    fn in_file(&mut self, file: FileRef, address: u64, names: &dyn Names) -> (u64, u64, Vec<Line>) {
        // Of a file that is long gone nothing is known any more.
        let Some(info) = names.file(file) else { return (DUMMY, address, vec![self.unknown()]) };
        let mapping = self.mapping(file, &info, address);
        let mut lines = Vec::new();
        names.in_file(&info, address, &mut |function| lines.push(self.line(function)));
        if lines.is_empty() && self.stubs {
            let stub = self.text(&format!("$ {} + 0x{address:x}", info.path));
            lines.push(self.named(stub));
        }
        (mapping, address, lines)
    }

    fn in_kernel(&mut self, address: u64, names: &dyn Names) -> (u64, u64, Vec<Line>) {
        let mapping = self
            .mapping_of(MappingKey::Kernel, |tables| Mapping { filename: tables.text(KERNEL), ..Mapping::default() });
        let mut lines = Vec::new();
        names.in_kernel(address, &mut |function| lines.push(self.line(function)));
        if lines.is_empty() && self.stubs {
            let stub = self.text(&format!("$ {KERNEL} + 0x{address:x}"));
            lines.push(self.named(stub));
        }
        (mapping, address, lines)
    }

    fn in_memory(&mut self, pid: u32, address: u64, names: &dyn Names) -> (u64, u64, Vec<Line>) {
        let mut lines = Vec::new();
        names.in_memory(pid, address, &mut |function| lines.push(self.line(function)));
        if lines.is_empty() {
            let anonymous = self.text(ANONYMOUS);
            lines.push(self.named(anonymous));
        }
        (DUMMY, address, lines)
    }

    fn in_runtime(&mut self, pid: u32, frame: &Frame, names: &dyn Names) -> Vec<Line> {
        let mut lines = Vec::new();
        names.in_runtime(pid, frame, &mut |function| lines.push(self.line(function)));
        if lines.is_empty() {
            let runtime = self.text(&format!("[{}]", frame.kind.text()));
            lines.push(self.named(runtime));
        }
        lines
    }

    /// The mapped part of a file that holds an address, in the file's own addresses. Of a file that could not be read
    /// only the name is known.
    fn mapping(&mut self, file: FileRef, info: &FileInfo, address: u64) -> u64 {
        let segment = info.segments.iter().find(|segment| segment.contains(address));
        let start = segment.map_or(0, |segment| segment.address);
        self.mapping_of(MappingKey::File(file, start), |tables| {
            let before = start % PAGE;
            Mapping {
                memory_start: start - before,
                memory_limit: segment.map_or(0, |segment| segment.end()),
                file_offset: segment.map_or(0, |segment| segment.offset.saturating_sub(before)),
                filename: tables.text(&info.path),
                build_id: info.build_id.as_ref().map_or(0, |id| tables.text(&id.to_string())),
                ..Mapping::default()
            }
        })
    }

    fn mapping_of(&mut self, key: MappingKey, describe: impl FnOnce(&mut Self) -> Mapping) -> u64 {
        if let Some(id) = self.mapping_ids.get(&key) {
            return *id;
        }
        let mapping = describe(self);
        let id = next_id(&self.mappings);
        self.mappings.push(Mapping { id, ..mapping });
        self.mapping_ids.insert(key, id);
        id
    }

    /// Says of a mapping what its locations have.
    fn describe(&mut self, mapping_id: u64, lines: &[Line]) {
        let Some(mapping) = usize::try_from(mapping_id - 1).ok().and_then(|place| self.mappings.get_mut(place)) else {
            return;
        };
        mapping.has_functions |= !lines.is_empty();
        mapping.has_line_numbers |= lines.iter().any(|line| line.line > 0);
        mapping.has_inline_frames |= lines.len() > 1;
        let function = |line: &Line| self.functions.get(usize::try_from(line.function_id - 1).ok()?);
        mapping.has_filenames |= lines.iter().filter_map(function).any(|function| function.filename != 0);
    }

    fn line(&mut self, function: Function<'_>) -> Line {
        let (name, filename) = (self.text(function.name), self.text(function.file));
        let system_name = self.text(function.system_name);
        let start_line = i64::from(function.start_line);
        let function_id = self.function(pprof::Function { id: 0, name, system_name, filename, start_line });
        Line { function_id, line: i64::from(function.line), column: 0 }
    }

    fn unknown(&mut self) -> Line {
        self.line(of_name(UNKNOWN, UNKNOWN))
    }

    fn named(&mut self, name: i64) -> Line {
        let function = pprof::Function { name, system_name: name, ..pprof::Function::default() };
        Line { function_id: self.function(function), line: 0, column: 0 }
    }

    fn function(&mut self, function: pprof::Function) -> u64 {
        let key = (function.system_name, function.filename);
        if let Some(id) = self.function_ids.get(&key) {
            return *id;
        }
        let id = next_id(&self.functions);
        self.functions.push(pprof::Function { id, ..function });
        self.function_ids.insert(key, id);
        id
    }
}

/// Ids are places, counted from 1.
fn next_id<T>(table: &[T]) -> u64 {
    table.len() as u64 + 1
}
