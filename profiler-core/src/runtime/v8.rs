//! V8, as Node.js 16 to 26 have it.
//!
//! A file of it is known by the constants that its build writes for debuggers, and they say where nearly all is in its
//! objects. Before frames are walked a function is looked for on the stack of the main thread, with its script and its name:
//! all of them have to be what they should be.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::ReadMemory;
use super::{AttachError, Unsupported};
use crate::kernel::V8Process;
use crate::native::elf::{ElfFile, Machine};
use crate::symbolizer::{Function as Named, Generations};
use code::{Code, Place};
use exits::Translations;
use function::{Description, Function, Identity};
use heap::{Heap, is_object};
use layout::{KNOWN, Layout, Version};
use metadata::Metadata;
use positions::{BytecodeSizes, Position};
use script::Script;

mod assumed;
mod code;
mod exits;
mod function;
mod heap;
mod layout;
mod metadata;
mod positions;
mod script;
mod text;

/// What is known of a file.
#[derive(Debug)]
pub(super) struct FileData {
    /// Code that is built in: its addresses in the file.
    builtins: [Range<u64>; 1],
    known: Arc<Known>,
}

/// What holds in all processes of a file.
#[derive(Debug)]
struct Known {
    version: Version,
    layout: Layout,
    sizes: BytecodeSizes,
    translations: Option<Translations>,
}

/// What is known of a process.
#[derive(Debug)]
pub(super) struct Instance {
    known: Arc<Known>,
    cache: Box<Mutex<Cache>>,
}

/// What was read of late, by the addresses of objects. Each is asked whether it is still there.
#[derive(Debug)]
struct Cache {
    functions: Generations<u64, Arc<Function>>,
    scripts: Generations<u64, Arc<Script>>,
    codes: Generations<u64, Arc<Code>>,
}

/// What a frame stands for, as it was when it was read.
#[derive(Debug)]
pub(super) struct Read(Functions);

#[derive(Debug)]
enum Functions {
    /// One, of which a frame says the bytecode.
    Interpreted {
        function: Arc<Function>,
        /// What is added to the place that a frame has, to count from the first bytecode.
        before: i32,
    },
    /// Those that an address is in, each with its line; the innermost first.
    Compiled(Vec<Line>),
}

/// A function, and a line of it.
type Line = (Arc<Description>, u32);

/// What the caches of a process may take, in bytes.
const FUNCTIONS: usize = 2 << 20;
const SCRIPTS: usize = 4 << 20;
const CODES: usize = 2 << 20;

/// `V8_COMPILED` and the other parts of such a frame (`bpf/v8.h`).
const COMPILED: u64 = 1 << 63;
const CALLER: u64 = 1 << 62;
const ADDRESS_BITS: u32 = 48;
const ALIGNMENT_BITS: u32 = 3;
/// What distinguishes a pointer to an object.
const TAG: u64 = 1;

/// Whether a frame's address is one in code; else it is that of a function.
pub(super) fn is_compiled(address: u64) -> bool {
    address & COMPILED != 0
}

impl FileData {
    /// None of a file that is nothing of V8's.
    pub(super) fn recognise(file: &ElfFile, path: &str) -> Result<Option<Self>, Unsupported> {
        let Some(metadata) = Metadata::read(file, path) else { return Ok(None) };
        let Some((major, minor)) = metadata.version(file) else {
            return Err(Unsupported(format!("{path}: V8 of a version that cannot be told")));
        };
        let version = Version(major, minor);
        if !KNOWN.contains(&version) {
            return Err(Unsupported(format!("{path}: V8 {version} is not known")));
        }
        let Some(builtins) = metadata.builtins(file) else {
            return Err(Unsupported(format!("{path}: V8 {version} without its builtins")));
        };
        let layout =
            Layout::of(version, &metadata).map_err(|Unsupported(why)| Unsupported(format!("{path}: {why}")))?;
        let sizes = BytecodeSizes::of(metadata.bytecode_sizes(file));
        let translations = Translations::of(metadata.operands(file)).filter(|_| file.machine() == Machine::X86_64);
        Ok(Some(Self { builtins: [builtins], known: Arc::new(Known { version, layout, sizes, translations }) }))
    }

    pub(super) fn name(&self) -> String {
        format!("V8 {}", self.known.version)
    }

    /// Where the code is that is built in.
    pub(super) fn builtins(&self) -> &[Range<u64>] {
        &self.builtins
    }

    /// Looks for functions in a process.
    pub(super) fn attach(&self, memory: &dyn ReadMemory, pid: u32) -> Result<(V8Process, Instance), AttachError> {
        let layout = &self.known.layout;
        let stack = main_stack(pid).ok_or(AttachError::NotYet("its main thread has no stack"))?;
        let heap = Heap { memory, layout };
        if !has_function(heap, stack) {
            return Err(AttachError::NotYet("no function is where it should be"));
        }
        let process = V8Process {
            map_type: layout.map_type,
            first_function: layout.types.first_function,
            last_function: layout.types.last_function,
            bytecodes: layout.types.bytecodes,
            function_shared: layout.function_shared,
            shared_script: layout.shared.script,
            shared_literal: layout.shared.literal,
            script_id: layout.script.id,
        };
        Ok((process, Instance::of(Arc::clone(&self.known))))
    }
}

impl Instance {
    /// See [`super::Assumption`]: where the stack of the main thread begins.
    pub(super) fn assumed(version: u8, found: [u64; 3], memory: &dyn ReadMemory) -> Option<Self> {
        let known = assumed::known(version)?;
        let [stack, ..] = found;
        let _has_function = has_function(Heap { memory, layout: &known.layout }, stack..stack.saturating_add(1 << 10));
        Some(Self::of(Arc::new(known)))
    }

    fn of(known: Arc<Known>) -> Self {
        let cache = Cache {
            functions: Generations::new(FUNCTIONS),
            scripts: Generations::new(SCRIPTS),
            codes: Generations::new(CODES),
        };
        Self { known, cache: Box::new(Mutex::new(cache)) }
    }

    /// What a frame stands for, if it is still there. `check` is of its function.
    pub(super) fn read(&self, memory: &dyn ReadMemory, address: u64, place: u32, check: u16) -> Option<Read> {
        let heap = Heap { memory, layout: &self.known.layout };
        if !is_compiled(address) {
            let before = TAG as i32 - i32::from(self.known.layout.bytecodes.first);
            let function = self.checked_function(heap, address, check)?;
            return Some(Read(Functions::Interpreted { function, before }));
        }
        let is_call = address & CALLER != 0;
        let high = (address & !COMPILED & !CALLER) >> ADDRESS_BITS;
        let shared = (high << 32 | u64::from(place)) << ALIGNMENT_BITS;
        // The call is before the address that it returns to.
        let address = (address & ((1 << ADDRESS_BITS) - 1)).checked_sub(is_call.into())?;
        if shared == 0 {
            return self.compiled(heap, address, is_call, None).map(|lines| Read(Functions::Compiled(lines)));
        }
        let own = self.checked_function(heap, shared | TAG, check)?;
        let compiled = self.compiled(heap, address, is_call, Some((shared | TAG, &own)));
        let lines = compiled.unwrap_or_else(|| vec![(Arc::clone(&own.description), own.description.start_line)]);
        Some(Read(Functions::Compiled(lines)))
    }

    /// The functions that an address is in; none where the outermost is not the one of the frame.
    fn compiled(
        &self,
        heap: Heap<'_>,
        address: u64,
        is_call: bool,
        own: Option<(u64, &Arc<Function>)>,
    ) -> Option<Vec<Line>> {
        let code = Code::find(heap, address, |object| self.lock().codes.get(&object))?;
        self.lock().codes.insert(code.object(), Arc::clone(&code), code.footprint());
        let mut lines = Vec::new();
        let mut outermost = None;
        let (sizes, translations) = (&self.known.sizes, self.known.translations.as_ref());
        let shared = own.map(|(shared, _)| shared);
        for inlined in code.functions(heap, sizes, translations, address, is_call, shared)? {
            let function = match inlined.shared {
                Some(shared) => self.function(heap, shared)?,
                None => Arc::clone(own?.1),
            };
            let offset = match inlined.place {
                Place::Script(offset) => offset,
                Place::Bytecode(bytecode) => function.positions.at(bytecode).and_then(Position::offset),
            };
            lines.push((Arc::clone(&function.description), function.line(offset)));
            outermost = Some(function.identity());
        }
        own.is_none_or(|(_, own)| Some(own.identity()) == outermost).then_some(lines)
    }

    fn checked_function(&self, heap: Heap<'_>, shared: u64, check: u16) -> Option<Arc<Function>> {
        let function = self.function(heap, shared)?;
        (check != 0 && function.identity().check() == check).then_some(function)
    }

    fn function(&self, heap: Heap<'_>, shared: u64) -> Option<Arc<Function>> {
        let cached = self.lock().functions.get(&shared);
        if let Some(function) = cached.filter(|function| function.is_there(heap, shared)) {
            return Some(function);
        }
        let function = Arc::new(Function::read(heap, shared, |script| self.script(heap, script))?);
        self.lock().functions.insert(shared, Arc::clone(&function), function.footprint());
        Some(function)
    }

    fn script(&self, heap: Heap<'_>, object: u64) -> Option<Arc<Script>> {
        let cached = self.lock().scripts.get(&object);
        if let Some(script) = cached.filter(|script| script.is_there(heap, object)) {
            return Some(script);
        }
        let script = Arc::new(Script::read(heap, object)?);
        self.lock().scripts.insert(object, Arc::clone(&script), script.footprint());
        Some(script)
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        // What it guards is whole after each of its calls.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read {
    pub(super) fn functions(&self, place: u32, each: &mut dyn FnMut(Named<'_>)) {
        match &self.0 {
            Functions::Interpreted { function, before } => {
                // Where the place is not known, the function's first line.
                let bytecode = i32::try_from(place).ok().and_then(|place| place.checked_add(*before));
                let position = bytecode.and_then(|bytecode| function.positions.at(bytecode));
                each(named(&function.description, function.line(position.and_then(Position::offset))));
            }
            Functions::Compiled(lines) => lines.iter().for_each(|(function, line)| each(named(function, *line))),
        }
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        match &self.0 {
            Functions::Interpreted { function, .. } => function.footprint(),
            Functions::Compiled(lines) => {
                size_of_val(&lines[..]) + lines.iter().map(|(function, _)| function.footprint()).sum::<usize>()
            }
        }
    }
}

fn named(function: &Description, line: u32) -> Named<'_> {
    let Description { name, file, start_line } = function;
    Named { name, system_name: name, file, line, start_line: *start_line }
}

/// Of the main thread's stack, bytes that are looked at: its outermost frames, and what is left of those that were there.
const MAX_STACK: u64 = 256 << 10;
/// Objects that are looked at.
const MAX_OBJECTS: usize = 8192;
/// Longest `/proc/PID/maps` that is read, in bytes.
const MAX_MAPS: u64 = 16 << 20;

fn main_stack(pid: u32) -> Option<Range<u64>> {
    let maps = BufReader::new(File::open(format!("/proc/{pid}/maps")).ok()?.take(MAX_MAPS));
    let line = maps.lines().map_while(Result::ok).find(|line| line.ends_with("[stack]"))?;
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).ok());
    Some(start?.max(end?.saturating_sub(MAX_STACK))..end?)
}

/// Whether there is a pointer to a function whose script and name can be read.
fn has_function(heap: Heap<'_>, stack: Range<u64>) -> bool {
    let words = heap.memory.words(stack.start, ((stack.end - stack.start) / 8) as usize);
    let mut objects: Vec<u64> =
        words.into_iter().filter(|word| is_object(*word) && word >> ADDRESS_BITS == 0).collect();
    objects.sort_unstable();
    objects.dedup();
    objects.into_iter().take(MAX_OBJECTS).any(|object| {
        let types = &heap.layout.types;
        let is_function =
            heap.kind(object).is_some_and(|kind| (types.first_function..=types.last_function).contains(&kind));
        is_function
            && heap.field(object, heap.layout.function_shared).is_some_and(|shared| {
                let script = |script| Script::read(heap, script).map(Arc::new);
                Identity::read(heap, shared).is_some()
                    && Function::read(heap, shared, script)
                        .is_some_and(|function| !function.description.file.is_empty())
            })
    })
}
