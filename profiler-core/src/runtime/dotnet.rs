//! CoreCLR, as .NET 9 and 10 have it: methods that were compiled while the program runs or ahead (ReadyToRun), in programs
//! of one file as well.
//!
//! A file of it is known by the symbols that it has for debuggers, and says its version. A process says by its data
//! contracts where things are in it, from 10 on where all of them are. Before frames are walked, a method that was compiled
//! is looked for, and its name in the metadata of its assembly.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::kernel::DotNetProcess;
use crate::native::elf::{ElfFile, Machine};
use crate::symbolizer::Generations;

use super::assumed::one_of;
use super::check::check_of;
use super::memory::ReadMemory;
use super::{AttachError, Unsupported, exports};
use contracts::Contracts;
use entry_points::EntryPoints;
use layout::Layout;
use metadata::Metadata;
use sections::{Kind, Sections};
use version::Version;

mod contracts;
mod entry_points;
mod layout;
mod metadata;
mod sections;
mod version;

/// What is known of a file; addresses are those of the file.
#[derive(Debug)]
pub(super) struct FileData {
    version: Version,
    machine: Machine,
    /// `DotNetRuntimeContractDescriptor`
    contracts: u64,
    /// `g_dacTable`
    globals: u64,
}

/// What is known of a process.
#[derive(Debug)]
pub(super) struct Instance {
    layout: Layout,
    sections: u64,
    /// By the address of a module.
    assemblies: Box<Mutex<Generations<u64, Arc<Metadata>>>>,
}

/// A method, as it was when it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Method {
    /// `Namespace.Type.Method`; a type within another is `Outer+Inner`.
    pub(super) name: String,
    /// The assembly's file. Sources and lines are in files of debug information, which few have beside their programs.
    pub(super) file: String,
}

/// What the assemblies of a process may take, in bytes: some 500 a piece.
const ASSEMBLIES: usize = 1 << 20;
/// Longest name of a method that was made at run time, in bytes.
const MAX_NAME: usize = 512;
/// `mdfKindMask` of `MethodClassification`, and `mcDynamic`: it has its name itself.
const KIND_MASK: u16 = 7;
const DYNAMIC: u16 = 7;
/// Bits of a method's number in its assembly.
const TOKEN_BITS: u32 = 24;

impl FileData {
    /// None of a file that is nothing of CoreCLR's.
    pub(super) fn recognise(file: &ElfFile, path: &str) -> Result<Option<Self>, Unsupported> {
        let names = ["g_dacTable", "MetaDataGetDispenser", "DotNetRuntimeContractDescriptor"];
        let [Some(globals), Some(_), contracts] = exports::find(file, names) else { return Ok(None) };
        let version = Version::of(file).ok_or_else(|| Unsupported(format!("{path}: CoreCLR without a version")))?;
        let unknown = || Unsupported(format!("{path}: CoreCLR {version} is not known"));
        let contracts = contracts.filter(|_| version.is_known()).ok_or_else(unknown)?;
        let machine = file.machine();
        if !Layout::is_known(version, machine) {
            return Err(Unsupported(format!("{path}: CoreCLR {version} is not known on {machine:?}")));
        }
        Ok(Some(Self { version, machine, contracts: contracts.address, globals: globals.address }))
    }

    pub(super) fn name(&self) -> String {
        format!("CoreCLR {}", self.version)
    }

    /// Finds everything in a process, in which the file's addresses are moved by `bias`.
    pub(super) fn attach(&self, memory: &dyn ReadMemory, bias: u64) -> Result<(DotNetProcess, Instance), AttachError> {
        let contracts = Contracts::read(memory, self.contracts.wrapping_add(bias))
            .ok_or(AttachError::NotYet("it says nothing of its data"))?;
        let layout = Layout::of(self.version, self.machine, &contracts)?;
        // The first of the globals for debuggers is the tree of sections; it is set when the runtime begins.
        let sections = memory.pointer(self.globals.wrapping_add(bias));
        let sections = sections.ok_or(AttachError::NotYet("it has no code"))?;
        let instance = Instance { layout, sections, assemblies: Box::new(Mutex::new(Generations::new(ASSEMBLIES))) };
        if !instance.has_method(memory) {
            return Err(AttachError::NotYet("no method is where it should be"));
        }
        let process = DotNetProcess {
            sections,
            section_flags: layout.section.flags,
            section_module: layout.section.module,
            section_heap: layout.section.heap,
            heap_base: layout.heap.base,
            heap_nibbles: layout.heap.nibbles,
            header_method: layout.header_method,
            module_image: layout.module.image,
            image_whole: layout.image.whole,
            image_functions: layout.image.functions,
            image_count: layout.image.count,
        };
        Ok((process, instance))
    }
}

impl Instance {
    /// See [`super::Assumption`]: what the process says of its data, and the tree of sections.
    pub(super) fn assumed(version: u8, found: [u64; 3], memory: &dyn ReadMemory) -> Option<Self> {
        let version = one_of(&[Version::V9, Version::V10], version)?;
        let [contracts, sections, _] = found;
        let layout = Layout::of(version, Machine::X86_64, &Contracts::read(memory, contracts)?).ok()?;
        let instance = Self { layout, sections, assemblies: Box::new(Mutex::new(Generations::new(ASSEMBLIES))) };
        let _is_known = instance.has_method(memory);
        Some(instance)
    }

    /// The method whose code, or part of it, begins at an address, if it is the one of which `check` is.
    pub(super) fn method(&self, memory: &dyn ReadMemory, start: u64, check: u16) -> Option<Method> {
        let section = self.sections(memory).at(start)?;
        match section.kind {
            Kind::Heap(_) => {
                let header = memory.pointer(start.checked_sub(8)?)?;
                let method = self.field(memory, header, self.layout.header_method)?;
                (check_of(header ^ method) == check).then(|| self.named(memory, method)).flatten()
            }
            Kind::Image(module) => {
                let image = self.field(memory, module, self.layout.module.image)?;
                let image = self.field(memory, image, self.layout.image.whole)?;
                let points = EntryPoints { memory, layout: &self.layout, image, base: section.start };
                let method = (check_of(module) == check).then(|| points.method(start)).flatten()?;
                self.named(memory, method)
            }
            Kind::Stubs => None,
        }
    }

    /// Whether any method that was compiled has a name.
    fn has_method(&self, memory: &dyn ReadMemory) -> bool {
        let sections = self.sections(memory);
        sections.first().into_iter().filter_map(|section| sections.methods_of(&section)).flatten().any(|start| {
            let header = memory.pointer(start.wrapping_sub(8));
            let method = header.and_then(|header| self.field(memory, header, self.layout.header_method));
            method.and_then(|method| self.named(memory, method)).is_some_and(|method| !method.file.is_empty())
        })
    }

    /// A `MethodDesc`. Those of a type lie side by side in chunks, which say the type, and the upper bits of their numbers.
    fn named(&self, memory: &dyn ReadMemory, method: u64) -> Option<Method> {
        let Layout { method: in_method, chunk, module, .. } = &self.layout;
        if short(memory, method, in_method.flags)? & KIND_MASK == DYNAMIC {
            let name = self.field(memory, method, in_method.dynamic_name)?;
            let name = text(memory, name, MAX_NAME)?;
            // As the runtime calls the type in which there are such.
            return Some(Method { name: format!("dynamicClass.{name}"), file: String::new() });
        }
        let mut index = [0];
        memory.read(method.wrapping_add(in_method.index.into()), &mut index).then_some(())?;
        let before = u64::from(chunk.size) + u64::from(index[0]) * self.layout.method_alignment;
        let start = method.checked_sub(before)?;
        let bits = self.layout.token_bits;
        let low = u32::from(short(memory, method, in_method.token)?) & ((1 << bits) - 1);
        let high = u32::from(short(memory, start, chunk.token)?) & ((1 << (TOKEN_BITS - bits)) - 1);
        let kind = self.field(memory, start, chunk.table)?;
        let assembly = self.assembly(memory, self.field(memory, kind, module.of_table)?)?;
        assembly.method(memory, high << bits | low)
    }

    fn assembly(&self, memory: &dyn ReadMemory, module: u64) -> Option<Arc<Metadata>> {
        let base = self.field(memory, module, self.layout.module.base)?;
        let cached = self.lock().get(&module);
        if let Some(assembly) = cached.filter(|assembly| assembly.base() == base) {
            return Some(assembly);
        }
        let assembly = Arc::new(Metadata::read(memory, base)?);
        self.lock().insert(module, Arc::clone(&assembly), assembly.footprint());
        Some(assembly)
    }

    fn sections<'m>(&'m self, memory: &'m dyn ReadMemory) -> Sections<'m> {
        Sections { memory, layout: &self.layout, root: self.sections }
    }

    fn field(&self, memory: &dyn ReadMemory, address: u64, offset: u16) -> Option<u64> {
        memory.pointer(address.wrapping_add(offset.into()))
    }

    fn lock(&self) -> MutexGuard<'_, Generations<u64, Arc<Metadata>>> {
        // What it guards is whole after each of its calls.
        self.assemblies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Method {
    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        self.name.len() + self.file.len()
    }
}

fn short(memory: &dyn ReadMemory, address: u64, offset: u16) -> Option<u16> {
    let mut bytes = [0; 2];
    memory.read(address.wrapping_add(offset.into()), &mut bytes).then(|| u16::from_le_bytes(bytes))
}

fn half(memory: &dyn ReadMemory, address: u64) -> Option<u32> {
    let mut bytes = [0; 4];
    memory.read(address, &mut bytes).then(|| u32::from_le_bytes(bytes))
}

/// The text at an address, which may be near the end of what is there.
fn text(memory: &dyn ReadMemory, address: u64, longest: usize) -> Option<String> {
    const AT_ONCE: usize = 64;
    let mut bytes = Vec::new();
    while bytes.len() < longest {
        let from = address.checked_add(bytes.len() as u64)?;
        // Up to a place that is whole, so that no page is asked for which the text does not reach.
        let mut part = [0; AT_ONCE];
        let part = part.get_mut(..AT_ONCE - (from % AT_ONCE as u64) as usize)?;
        memory.read(from, part).then_some(())?;
        let end = part.iter().position(|byte| *byte == 0);
        bytes.extend_from_slice(part.get(..end.unwrap_or(part.len()))?);
        if end.is_some() {
            return String::from_utf8(bytes).ok().filter(|text| !text.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests;
