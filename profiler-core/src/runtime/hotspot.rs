//! HotSpot, of Java 8 to 25, on x86_64.
//!
//! Its library says where everything is (`structs`). All code that it makes lies in its code cache, in blobs: frames there
//! stand for a blob or, in the interpreter, for a method. Before frames are walked, the interpreter is looked up as any
//! code is, and methods that are compiled by then have to have names.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::{HotSpotField, HotSpotProcess};
use crate::native::elf::{ElfFile, Machine};
use crate::symbolizer::{Function, Generations};

use super::check::check_of;
use super::exports::{self, Export};
use super::memory::ReadMemory;
use super::{AttachError, Unsupported};
use blobs::Blobs;
use compiled::Compiled;
use layout::{Layout, Number, Place, WANTED};
use method::{Identity, Method};
use structs::{SYMBOLS, Structs};

mod assumed;
mod blobs;
mod compiled;
mod layout;
mod lines;
mod method;
mod stream;
mod structs;

/// Versions of Java whose JVM is known.
const KNOWN: std::ops::RangeInclusive<u32> = 8..=25;
/// Methods of a process whose names are kept beside those of its code, in bytes.
const METHODS: usize = 4 << 20;
/// Compiled methods that are looked at before frames are walked.
const LOOKED_AT: usize = 16;

/// What is known of a file.
#[derive(Debug)]
pub(super) struct FileData {
    symbols: [Export; SYMBOLS.len()],
}

/// What is known of a process.
#[derive(Debug)]
pub(super) struct Instance {
    layout: Layout,
    blobs: Blobs,
    interpreter: Range<u64>,
    /// Where stubs begin that have names, by rising addresses.
    stubs: Vec<(u64, String)>,
    methods: Mutex<Generations<Identity, Arc<Method>>>,
}

/// What a frame stands for, as it was when it was read.
#[derive(Debug)]
pub(super) struct Code(Read);

#[derive(Debug)]
enum Read {
    Interpreted(Arc<Method>),
    Compiled(Compiled),
    /// What a blob is called, and the stubs in it by rising offsets.
    Stub {
        name: String,
        parts: Vec<(u32, String)>,
    },
}

impl FileData {
    /// None of a file that is nothing of HotSpot's.
    pub(super) fn recognise(file: &ElfFile, path: &str) -> Result<Option<Self>, Unsupported> {
        let symbols = exports::find(file, SYMBOLS);
        if symbols.first().copied().flatten().is_none() {
            return Ok(None);
        }
        if file.machine() != Machine::X86_64 {
            return Err(Unsupported(format!("{path}: HotSpot is known on x86_64 alone")));
        }
        let all: Vec<Export> = symbols.into_iter().flatten().collect();
        let symbols = all.try_into().map_err(|_| Unsupported(format!("{path}: HotSpot without its tables")))?;
        Ok(Some(Self { symbols }))
    }

    /// Finds everything in a process, in which the file's addresses are moved by `bias`.
    pub(super) fn attach(&self, memory: &dyn ReadMemory, bias: u64) -> Result<(HotSpotProcess, Instance), AttachError> {
        let structs = Structs::read(memory, &self.symbols, bias, WANTED);
        let structs = structs.ok_or(AttachError::NotYet("its tables cannot be read"))?;
        let version = version(memory, &structs).ok_or(AttachError::NotYet("it does not say its version"))?;
        let unsupported = |what: String| AttachError::Unsupported(Unsupported(format!("Java {version}: {what}")));
        if !KNOWN.contains(&version) {
            return Err(unsupported("this version is not known".to_owned()));
        }
        let layout = Layout::of(&structs, version).map_err(|missing| unsupported(missing.to_string()))?;
        let interpreter = interpreter(memory, &structs).ok_or(AttachError::NotYet("it has no interpreter"))?;
        let blobs = Blobs::read(&layout, memory, &structs).ok_or(AttachError::NotYet("it has no code cache"))?;
        let stubs = stubs(memory, &structs, &blobs);
        let methods = Mutex::new(Generations::new(METHODS));
        let instance = Instance { layout, blobs, interpreter, stubs, methods };
        instance.check(memory).map_err(|what| unsupported(what.to_owned()))?;
        let process = instance.process().ok_or_else(|| unsupported("its blobs are laid out otherwise".to_owned()))?;
        Ok((process, instance))
    }
}

impl Instance {
    /// The code cache.
    pub(super) fn code(&self) -> Vec<Range<u64>> {
        self.blobs.heaps.iter().map(|heap| heap.start..heap.end).collect()
    }

    /// What a frame stands for, if that is what `check` is of.
    pub(super) fn code_at(&self, memory: &dyn ReadMemory, address: u64, check: u16) -> Option<Code> {
        if address == self.interpreter.start {
            return Some(Code(Read::Stub { name: "Interpreter".to_owned(), parts: Vec::new() }));
        }
        if !self.blobs.holds(address) {
            let identity = Identity::read(&self.layout, memory, address)?;
            return (check_of(identity.constant) == check)
                .then(|| self.method(memory, identity))?
                .map(|method| Code(Read::Interpreted(method)));
        }
        let at = |offset: u16| memory.pointer(address.checked_add(offset.into())?);
        let text = at(self.layout.blob_name)?;
        let name = blobs::name(memory, text)?;
        if !blobs::is_compiled(&name) {
            return (check_of(text) == check).then(|| self.stub(memory, address, name));
        }
        let method = at(self.layout.compiled_method)?;
        let number = memory.word(address.checked_add(self.layout.compiled_number.into())?)? as u32;
        if check_of(method ^ u64::from(number)) != check {
            return None;
        }
        let named = |address| self.method(memory, Identity::read(&self.layout, memory, address)?);
        Some(Code(Read::Compiled(Compiled::read(&self.layout, memory, address, named(method)?, named))))
    }

    fn stub(&self, memory: &dyn ReadMemory, blob: u64, name: String) -> Code {
        let code = self.layout.blob_code.read(memory, blob).unwrap_or(blob);
        let size = self.layout.blob_size.read(memory, blob).unwrap_or(0);
        let from = self.stubs.partition_point(|(address, _)| *address < code);
        let within = self.stubs.iter().skip(from).take_while(|(address, _)| *address - blob < size);
        let part = |(address, name): &(u64, String)| Some((u32::try_from(address - code).ok()?, name.clone()));
        Code(Read::Stub { name, parts: within.filter_map(part).collect() })
    }

    fn method(&self, memory: &dyn ReadMemory, identity: Identity) -> Option<Arc<Method>> {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = methods.get(&identity) {
            return Some(known);
        }
        let method = Arc::new(Method::read(&self.layout, memory, identity)?);
        methods.insert(identity, Arc::clone(&method), method.footprint());
        Some(method)
    }

    /// Whether things are where they were said to be.
    fn check(&self, memory: &dyn ReadMemory) -> Result<(), &'static str> {
        let blob = self.blobs.at(&self.layout, memory, self.interpreter.start);
        let blob = blob.ok_or("its interpreter is not in its code cache")?;
        let text = memory.pointer(blob.wrapping_add(self.layout.blob_name.into()));
        if text.and_then(|text| blobs::name(memory, text)).as_deref() != Some("Interpreter") {
            return Err("its blobs have no names");
        }
        if self.layout.blob_code.read(memory, blob).is_none_or(|code| code > self.interpreter.start) {
            return Err("its blobs have no code");
        }
        let compiled = self.blobs.compiled(&self.layout, memory, LOOKED_AT);
        let has_name = |blob: &u64| {
            let method = memory.pointer(blob.checked_add(self.layout.compiled_method.into())?)?;
            self.method(memory, Identity::read(&self.layout, memory, method)?)
        };
        // One may be on its way out.
        if compiled.len() > 1 && compiled.iter().filter_map(has_name).count() * 2 < compiled.len() {
            return Err("its methods have no names");
        }
        Ok(())
    }

    /// None where a number has another size than the kernel's side expects.
    fn process(&self) -> Option<HotSpotProcess> {
        let Layout { blob_code, blob_complete, compiled_entry, .. } = self.layout;
        let blob_code = match blob_code {
            Place::Address(offset) => HotSpotField::Wide(offset),
            Place::Offset(Number { offset, size: 4 }) => HotSpotField::Narrow(offset),
            Place::Offset(_) => return None,
        };
        let compiled_entry = match compiled_entry {
            Place::Address(offset) => HotSpotField::Wide(offset),
            Place::Offset(Number { offset, size: 2 }) => HotSpotField::Narrow(offset),
            Place::Offset(_) => return None,
        };
        let blob_complete = match blob_complete {
            Number { offset, size: 4 } => HotSpotField::Wide(offset),
            Number { offset, size: 2 } => HotSpotField::Narrow(offset),
            Number { .. } => return None,
        };
        Some(HotSpotProcess {
            heaps: self.blobs.heaps.clone(),
            interpreter: self.interpreter.clone(),
            segment_shift: self.blobs.shift,
            block_header: u8::try_from(self.layout.block_header).ok()?,
            frame_place: self.layout.frame_place(),
            blob_name: self.layout.blob_name,
            blob_code,
            blob_frame: self.layout.blob_frame,
            blob_complete,
            compiled_method: self.layout.compiled_method,
            compiled_number: self.layout.compiled_number,
            compiled_entry,
            method_const: self.layout.method_const,
            const_length: self.layout.const_length,
            const_code: self.layout.const_size,
        })
    }
}

impl Code {
    /// Those at a place, the innermost first: a bytecode's, or that of an offset in compiled code.
    pub(super) fn functions(&self, place: u32, each: &mut dyn FnMut(Function<'_>)) {
        match &self.0 {
            Read::Interpreted(method) => each(function(method, place)),
            Read::Compiled(compiled) => {
                compiled.functions(place).for_each(|(method, bytecode)| each(function(method, bytecode)));
            }
            Read::Stub { name, parts } => {
                let after = parts.partition_point(|(begin, _)| *begin <= place);
                let name = after.checked_sub(1).and_then(|part| parts.get(part)).map_or(name, |(_, name)| name);
                each(Function { name, system_name: name, file: "", line: 0, start_line: 0 });
            }
        }
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        match &self.0 {
            Read::Interpreted(method) => method.footprint(),
            Read::Compiled(compiled) => compiled.footprint(),
            Read::Stub { name, parts } => name.len() + parts.iter().map(|(_, name)| 32 + name.len()).sum::<usize>(),
        }
    }
}

fn function(method: &Method, bytecode: u32) -> Function<'_> {
    let Method { name, system_name, file, lines } = method;
    // Of a native method, and where the bytecode is not known.
    let line = if bytecode == u32::MAX { 0 } else { lines.of(bytecode) };
    Function { name, system_name, file, line, start_line: lines.first() }
}

/// Of Java. 8 calls itself 25, as later 25 does; only later ones have a code cache of several heaps.
fn version(memory: &dyn ReadMemory, structs: &Structs) -> Option<u32> {
    if structs.field("CodeCache::_heap").is_ok() {
        return Some(8);
    }
    let major = structs.one_of(&["Abstract_VM_Version::_vm_major_version", "VM_Version::_vm_major_version"]).ok()?;
    let major = memory.word(major.place)? as u32;
    (major != 0).then_some(major)
}

fn interpreter(memory: &dyn ReadMemory, structs: &Structs) -> Option<Range<u64>> {
    let queue = memory.pointer(structs.field("AbstractInterpreter::_code").ok()?.place)?;
    let begin = memory.pointer(queue.checked_add(structs.offset("StubQueue::_stub_buffer").ok()?.into())?)?;
    let size = memory.word(queue.checked_add(structs.offset("StubQueue::_buffer_limit").ok()?.into())?)? as u32;
    Some(begin..begin.checked_add(size.into())?)
}

/// The stubs that the JVM names: fewer and fewer, from version to version.
fn stubs(memory: &dyn ReadMemory, structs: &Structs, blobs: &Blobs) -> Vec<(u64, String)> {
    let mut stubs: Vec<(u64, String)> = structs
        .of("StubRoutines")
        .filter(|(name, field)| field.kind == "address" && *name != "_call_stub_return_address")
        .filter_map(|(name, field)| {
            let address = memory.pointer(field.place).filter(|address| blobs.holds(*address))?;
            Some((address, format!("StubRoutines.{}", name.trim_start_matches('_'))))
        })
        .collect();
    stubs.sort_unstable();
    stubs.dedup_by_key(|(address, _)| *address);
    stubs
}
