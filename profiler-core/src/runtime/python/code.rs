//! Code objects of a process: what a function is called, and where it is.

use super::Instance;
use super::layout::{BYTES, BYTES_LENGTH, Lines, OBJECT_TYPE};
use super::lines::{LineTable, MAX_TABLE};
use super::{module, text};
use crate::process::Root;
use crate::runtime::check::check_of;
use crate::runtime::memory::ReadMemory;

/// A function, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeObject {
    /// With its module's.
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) first_line: u32,
    lines: LineTable,
    /// Bytes for each number by which places are counted.
    unit: u32,
}

impl CodeObject {
    /// The line of a place as frames say it; 0 where it has none.
    pub(crate) fn line(&self, place: u32) -> u32 {
        // Before the first instruction, where a frame is when it was made just now. So says Python itself.
        if place == u32::MAX {
            return self.first_line;
        }
        self.lines.line(place.saturating_mul(self.unit)).unwrap_or(0)
    }

    /// In bytes.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.file.len() + self.lines.footprint()
    }
}

/// Reads a code object. None where there is none, or where `check` says that it is another one than was sampled.
pub(super) fn read(instance: &Instance, memory: &dyn ReadMemory, address: u64, check: u16) -> Option<CodeObject> {
    let layout = &instance.layout;
    let field = |offset: u16| memory.pointer(address.wrapping_add(offset.into()));
    let read_text = |object: u64| text::read(memory, &layout.text, instance.text_type, object);
    if memory.word(address.wrapping_add(OBJECT_TYPE))? != instance.code_type {
        return None;
    }
    let name = field(layout.code.name)?;
    let hash = memory.word(name.wrapping_add(layout.text.hash.into()))?;
    let first_line = memory.word(address.wrapping_add(layout.code.line.into()))? as u32;
    if check == 0 || check != checked(hash, first_line) {
        return None;
    }
    let qualified = layout.code.qualified.and_then(field).and_then(read_text);
    let own_name = match qualified {
        Some(name) => name,
        None => read_text(name)?,
    };
    let file = read_text(field(layout.code.file)?)?;
    let table = field(layout.code.lines).and_then(|object| read_bytes(memory, object)).unwrap_or_default();
    let lines = LineTable::read(layout.code.lines_format, &table, first_line);
    let root = std::cell::OnceCell::new();
    let is_package = |folder: &str| {
        let root = root.get_or_init(|| Root::of(instance.pid).ok());
        root.as_ref().is_some_and(|root| root.open(&format!("{folder}/__init__.py")).is_ok())
    };
    let module = module::of_file(&file, is_package);
    let name = if module.is_empty() { own_name } else { format!("{module}.{own_name}") };
    let unit = if layout.code.lines_format == Lines::Ranges { 2 } else { 1 };
    // It may have been replaced meanwhile.
    let again = memory.word(name_hash(instance, memory, address)?)?;
    (again == hash).then_some(CodeObject { name, file, first_line, lines, unit })
}

fn name_hash(instance: &Instance, memory: &dyn ReadMemory, address: u64) -> Option<u64> {
    let name = memory.pointer(address.wrapping_add(instance.layout.code.name.into()))?;
    Some(name.wrapping_add(instance.layout.text.hash.into()))
}

/// `python_check` of the kernel's side.
pub(super) fn checked(hash: u64, line: u32) -> u16 {
    check_of(hash ^ u64::from(line))
}

fn read_bytes(memory: &dyn ReadMemory, object: u64) -> Option<Vec<u8>> {
    let length = memory.word(object.wrapping_add(BYTES_LENGTH))?.min(MAX_TABLE);
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    memory.read(object.wrapping_add(BYTES), &mut bytes).then_some(bytes)
}
