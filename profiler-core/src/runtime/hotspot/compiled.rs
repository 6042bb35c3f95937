//! Compiled methods: which functions the compilers have put into one, and where in its code each of them is.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::memory::ReadMemory;
use super::layout::{Layout, Metadata, ScopeData, Scopes};
use super::method::Method;
use super::stream::Stream;

/// Places of a method's code that are described, at most; large ones have thousands.
const MAX_PLACES: u64 = 65_536;
/// Bytes that describe them.
const MAX_SCOPES: u64 = 4 << 20;
/// Methods inside of one another: compilers stop long before.
const MAX_DEPTH: usize = 64;
/// A place behind all code ends the list.
const MAX_CODE: u32 = 1 << 30;

/// A compiled method, as it was when it was read.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Itself.
    method: Arc<Method>,
    /// Ends of stretches of code by rising offsets, each with its innermost scope.
    places: Box<[(u32, u32)]>,
    scopes: Box<[Scope]>,
    methods: Box<[Arc<Method>]>,
}

/// A method that runs in another one, or in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scope {
    method: u32,
    /// `u32::MAX`: before the first one.
    bytecode: u32,
    caller: Option<u32>,
}

/// What a scope's bytes say: where its caller is, the number of its method, and the bytecode.
struct Record {
    caller: u32,
    method: u32,
    bytecode: u32,
}

impl Compiled {
    /// `named` reads methods.
    pub(super) fn read(
        layout: &Layout,
        memory: &dyn ReadMemory,
        blob: u64,
        method: Arc<Method>,
        named: impl FnMut(u64) -> Option<Arc<Method>>,
    ) -> Self {
        let mut reading = Reading {
            layout,
            bytes: Vec::new(),
            metadata: metadata(layout, memory, blob),
            memory,
            named,
            scopes: Vec::new(),
            by_offset: HashMap::new(),
            methods: Vec::new(),
            by_address: HashMap::new(),
        };
        let places = reading.places(blob).unwrap_or_default();
        let (scopes, methods) = (reading.scopes.into(), reading.methods.into());
        Self { method, places: places.into(), scopes, methods }
    }

    /// The methods at an offset in the code, the innermost first, each with the bytecode that runs. At a call's
    /// return the stretch ends; in between it is what the next such place says.
    pub(super) fn functions(&self, offset: u32) -> impl Iterator<Item = (&Method, u32)> {
        let place = self.places.partition_point(|(end, _)| *end < offset);
        let mut next = self.places.get(place).map(|(_, scope)| *scope);
        let inner = std::iter::from_fn(move || {
            let scope = self.scopes.get(usize::try_from(next?).ok()?)?;
            next = scope.caller;
            Some((&**self.methods.get(usize::try_from(scope.method).ok()?)?, scope.bytecode))
        });
        // Code behind the last place, and wrappers of native methods, say nothing.
        let unknown = (place >= self.places.len()).then_some((&*self.method, u32::MAX));
        unknown.into_iter().chain(inner)
    }

    /// In bytes. What others hold as well is counted in parts.
    pub(super) fn footprint(&self) -> usize {
        let shared = |method: &Arc<Method>| method.footprint() / Arc::strong_count(method) + size_of::<Arc<Method>>();
        size_of::<Self>()
            + size_of_val(&*self.places)
            + size_of_val(&*self.scopes)
            + self.methods.iter().chain([&self.method]).map(shared).sum::<usize>()
    }
}

struct Reading<'m, Named> {
    layout: &'m Layout,
    memory: &'m dyn ReadMemory,
    bytes: Vec<u8>,
    /// Where the list of methods begins.
    metadata: Option<u64>,
    named: Named,
    scopes: Vec<Scope>,
    by_offset: HashMap<u32, Option<u32>>,
    methods: Vec<Arc<Method>>,
    by_address: HashMap<u64, Option<u32>>,
}

impl<Named: FnMut(u64) -> Option<Arc<Method>>> Reading<'_, Named> {
    fn places(&mut self, blob: u64) -> Option<Vec<(u32, u32)>> {
        let (list, scopes) = parts(self.layout, self.memory, blob)?;
        let size = u64::from(self.layout.place_size);
        let count = list.end.checked_sub(list.start)?.checked_div(size)?.min(MAX_PLACES);
        let mut described = vec![0; usize::try_from(count * size).ok()?];
        let length = scopes.end.checked_sub(scopes.start)?.min(MAX_SCOPES);
        self.bytes = vec![0; usize::try_from(length).ok()?];
        if !self.memory.read(list.start, &mut described) || !self.memory.read(scopes.start, &mut self.bytes) {
            return None;
        }
        let mut places: Vec<(u32, u32)> = Vec::new();
        for place in described.chunks_exact(usize::from(self.layout.place_size)) {
            let number =
                |offset: u16| place.get(offset.into()..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
            let (code, scope) = (number(self.layout.place_code)?, number(self.layout.place_scope)?);
            // What comes before the code, and behind it.
            if code >= MAX_CODE || scope == 0 {
                continue;
            }
            let Some(scope) = self.scope(scope) else { continue };
            match places.last_mut() {
                Some((end, _)) if *end >= code => {}
                Some((end, last)) if *last == scope => *end = code,
                _ => places.push((code, scope)),
            }
        }
        Some(places)
    }

    /// The scope whose bytes begin there, and those that it is in.
    fn scope(&mut self, offset: u32) -> Option<u32> {
        let mut records = Vec::new();
        let mut next = offset;
        // Up to one that is known already.
        let mut caller = None;
        while next != 0 {
            if let Some(known) = self.by_offset.get(&next) {
                caller = Some((*known)?);
                break;
            }
            let record = self.record(next).filter(|record| record.caller < next && records.len() < MAX_DEPTH);
            let Some(record) = record else {
                self.by_offset.insert(offset, None);
                return None;
            };
            let before = record.caller;
            records.push((next, record));
            next = before;
        }
        for (offset, Record { method, bytecode, .. }) in records.into_iter().rev() {
            let place = u32::try_from(self.scopes.len()).ok()?;
            let Some(method) = self.method(method) else {
                self.by_offset.insert(offset, None);
                return None;
            };
            self.scopes.push(Scope { method, bytecode, caller });
            self.by_offset.insert(offset, Some(place));
            caller = Some(place);
        }
        caller
    }

    fn record(&self, offset: u32) -> Option<Record> {
        let bytes = self.bytes.get(usize::try_from(offset).ok()?..)?;
        let mut stream = Stream::new(bytes, self.layout.version);
        let (caller, method) = (stream.number()?, stream.number()?);
        // One more than the bytecode: 0 is before the first.
        let bytecode = stream.number()?.wrapping_sub(1);
        Some(Record { caller, method, bytecode })
    }

    /// By its number in the compiled method; 0 is none.
    fn method(&mut self, number: u32) -> Option<u32> {
        let at = self.metadata?.checked_add(8 * u64::from(number.checked_sub(1)?))?;
        let address = self.memory.pointer(at)?;
        if let Some(known) = self.by_address.get(&address) {
            return *known;
        }
        let named = (self.named)(address).and_then(|method| {
            self.methods.push(method);
            u32::try_from(self.methods.len() - 1).ok()
        });
        self.by_address.insert(address, named);
        named
    }
}

/// Where the list of places is, and the bytes of scopes.
fn parts(layout: &Layout, memory: &dyn ReadMemory, blob: u64) -> Option<(std::ops::Range<u64>, std::ops::Range<u64>)> {
    match layout.scopes {
        Scopes::InBlob { list, list_end, data } => {
            let list = blob.checked_add(list.read(memory, blob)?)?..blob.checked_add(list_end.read(memory, blob)?)?;
            let data = match data {
                ScopeData::Offset(offset) => blob.checked_add(offset.read(memory, blob)?)?,
                ScopeData::Address(offset) => memory.pointer(blob.checked_add(offset.into())?)?,
            };
            // The list follows.
            Some((list.clone(), data..list.start))
        }
        Scopes::Apart { memory: own, size, list, data } => {
            let own = memory.pointer(blob.checked_add(own.into())?)?;
            let [size, list, data] = [size.read(memory, blob)?, list.read(memory, blob)?, data.read(memory, blob)?];
            let [end, list, data] = [own.checked_add(size)?, own.checked_add(list)?, own.checked_add(data)?];
            Some((list..data, data..end))
        }
    }
}

fn metadata(layout: &Layout, memory: &dyn ReadMemory, blob: u64) -> Option<u64> {
    match layout.metadata {
        Metadata::InBlob(offset) => blob.checked_add(offset.read(memory, blob)?),
        Metadata::InData { data, offset } => {
            blob.checked_add(data.read(memory, blob)?)?.checked_add(offset.read(memory, blob)?)
        }
        Metadata::Apart { memory: own, relocations } => {
            memory.pointer(blob.checked_add(own.into())?)?.checked_add(relocations.read(memory, blob)?)
        }
    }
}
