//! Functions of a process: what all closures of one share (`SharedFunctionInfo`), its scope and its bytecodes.

use std::sync::Arc;

use super::heap::{Heap, is_object};
use super::layout::{BASELINE_BYTECODES, WRAPPED};
use super::positions::Positions;
use super::script::Script;
use super::text;

/// A function, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) description: Arc<Description>,
    /// None of what is built in.
    script: Option<Arc<Script>>,
    pub(super) positions: Positions,
    identity: Identity,
}

/// What is said of a function wherever it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) file: String,
    /// 0: not known.
    pub(super) start_line: u32,
}

/// What tells a function from another one in its place, wherever it is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    script: u64,
    literal: u32,
}

/// Longest name, in characters.
const MAX_NAME: usize = 1024;
/// Steps from a function to its bytecodes.
const MAX_STEPS: usize = 3;

impl Identity {
    pub(super) fn read(heap: Heap<'_>, shared: u64) -> Option<Self> {
        (heap.kind(shared)? == heap.layout.types.shared).then_some(())?;
        let script = heap.field(shared, heap.layout.shared.script)?;
        let script = if is_object(script) { heap.field(script, heap.layout.script.id)? } else { 0 };
        Some(Self { script, literal: heap.half(shared, heap.layout.shared.literal)? })
    }

    /// `v8_check` of the kernel's side.
    pub(super) fn check(self) -> u16 {
        let hash = (self.script ^ u64::from(self.literal)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((hash >> 48) as u16).max(1)
    }
}

impl Function {
    /// Reads a function. `script` gives the script of an object.
    pub(super) fn read(heap: Heap<'_>, shared: u64, script: impl Fn(u64) -> Option<Arc<Script>>) -> Option<Self> {
        let identity = Identity::read(heap, shared)?;
        let script = script(heap.field(shared, heap.layout.shared.script)?);
        let Scope { name, start } = Scope::read(heap, shared);
        let place = script.as_ref().zip(start).map(|(script, start)| script.place(start));
        let name = if name.is_empty() { anonymous(script.as_deref(), place) } else { name };
        let positions = bytecodes(heap, shared).and_then(|bytecodes| {
            heap.bytes(heap.field(bytecodes, heap.layout.bytecodes.positions).filter(|table| is_object(*table))?)
        });
        let positions = Positions::read(&positions.unwrap_or_default(), heap.layout.steps);
        let file = script.as_ref().map_or(String::new(), |script| script.file.clone());
        let description = Arc::new(Description { name, file, start_line: place.map_or(0, |(line, _)| line) });
        // It may have been moved meanwhile.
        (Identity::read(heap, shared)? == identity).then_some(Self { description, script, positions, identity })
    }

    /// Whether it is still this one that is there.
    pub(super) fn is_there(&self, heap: Heap<'_>, shared: u64) -> bool {
        Identity::read(heap, shared) == Some(self.identity)
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// The line of a place in the script; that in which the function begins, where it has none.
    pub(super) fn line(&self, offset: Option<u32>) -> u32 {
        let line = self.script.as_ref().zip(offset).map(|(script, offset)| script.place(offset).0);
        line.unwrap_or(self.description.start_line)
    }

    /// In bytes. What it shares with other functions counts there.
    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + self.description.footprint() + self.positions.footprint()
    }
}

impl Description {
    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.file.len()
    }
}

/// What runs for a function where it is not compiled.
pub(super) fn bytecodes(heap: Heap<'_>, shared: u64) -> Option<u64> {
    unwrapped(heap, heap.field(shared, heap.layout.shared.data)?)
}

/// The bytecodes in what a function or code has of them.
pub(super) fn unwrapped(heap: Heap<'_>, mut object: u64) -> Option<u64> {
    let types = &heap.layout.types;
    for _ in 0..MAX_STEPS {
        let kind = heap.kind(object)?;
        let within = match kind {
            _ if kind == types.bytecodes => return Some(object),
            _ if kind == types.code => heap.layout.code.data,
            _ if kind == types.interpreter_data => WRAPPED,
            _ if Some(kind) == types.baseline_data => BASELINE_BYTECODES,
            _ => return None,
        };
        object = heap.field(object, within)?;
    }
    None
}

/// What a function is called that has no name: as V8 calls it, with its place.
fn anonymous(script: Option<&Script>, place: Option<(u32, u32)>) -> String {
    const NAME: &str = "(anonymous)";
    match (script, place) {
        (Some(script), Some((line, column))) => {
            let file = script.file.rsplit('/').next().unwrap_or_default();
            format!("{NAME} {file}:{line}:{column}")
        }
        _ => NAME.to_owned(),
    }
}

/// What a function's scope, or its name alone, says of it.
#[derive(Default)]
struct Scope {
    /// Its own, or what it was assigned to; empty where neither is known.
    name: String,
    /// Where it begins in the script, in characters.
    start: Option<u32>,
}

/// `ScopeInfo::flags` (scope-info.tq): the same bits in all versions.
const HAS_CLASS_VARIABLE: u64 = 1 << 10;
const FUNCTION_VARIABLE: u64 = 3 << 12;
const HAS_INFERRED_NAME: u64 = 1 << 14;
/// With more locals than this their names are in a table of their own (`kScopeInfoMaxInlinedLocalNamesSize`).
const MAX_NAMES: u64 = 75;
const WORD: u64 = 8;

impl Scope {
    fn read(heap: Heap<'_>, shared: u64) -> Self {
        let Some(object) = heap.field(shared, heap.layout.shared.name) else { return Self::default() };
        if heap.kind(object) == Some(heap.layout.types.scope) {
            return Self::of_scope(heap, object).unwrap_or_default();
        }
        // Of what is built in, and of what was not compiled yet.
        Self { name: name(heap, object).unwrap_or_default(), start: None }
    }

    fn of_scope(heap: Heap<'_>, scope: u64) -> Option<Self> {
        let layout = &heap.layout.scope;
        // A small number, or from 14 on the bits themselves: 32 of them.
        let flags = heap.field(scope, layout.flags)?;
        let flags = if flags as u32 == 0 { flags >> 32 } else { flags };
        let locals = u64::try_from(heap.number(scope, layout.locals)?).ok()?;
        let names = if locals < MAX_NAMES { locals } else { 1 };
        let class_variable = u64::from(flags & HAS_CLASS_VARIABLE != 0);
        let mut at = Heap::at(scope, layout.first).wrapping_add((names + locals + class_variable) * WORD);
        let mut own = String::new();
        if flags & FUNCTION_VARIABLE != 0 {
            // A module's scope has the number of its variables before.
            let is_text = |at: u64| heap.memory.word(at).is_some_and(|word| text::is_text(heap, word));
            if !is_text(at) && is_text(at.wrapping_add(WORD)) {
                at = at.wrapping_add(WORD);
            }
            own = name(heap, heap.memory.word(at)?).unwrap_or_default();
            at = at.wrapping_add(2 * WORD);
        }
        if flags & HAS_INFERRED_NAME != 0 {
            if own.is_empty() {
                own = name(heap, heap.memory.word(at)?).unwrap_or_default();
            }
            at = at.wrapping_add(WORD);
        }
        let start = match layout.start {
            Some(start) => heap.number(scope, start),
            None => heap.memory.word(at).and_then(super::heap::number),
        };
        Some(Self { name: own, start: start.and_then(|start| u32::try_from(start).ok()) })
    }
}

fn name(heap: Heap<'_>, object: u64) -> Option<String> {
    text::read(heap, object, MAX_NAME).map(|name| name.to_string())
}
