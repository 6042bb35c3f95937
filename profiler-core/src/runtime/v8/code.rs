//! Code that V8 has compiled, by an address in it: the functions that it is of, the inlined ones as well.

use std::sync::Arc;

use super::exits::{Exits, Translations};
use super::function;
use super::heap::{Heap, is_object};
use super::layout::{Layout, Start, WRAPPED};
use super::positions::{BytecodeSizes, Position, Positions};

/// What stays as it is while the code is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// The object that holds the instructions, and its first words: what it is told by from another one in its place.
    object: u64,
    head: [u64; 2],
    /// The first instruction.
    start: u64,
    /// In bytes.
    size: u32,
    compiler: Compiler,
}

#[derive(Debug, PartialEq, Eq)]
enum Compiler {
    /// One piece of code for each bytecode: their sizes, and the bytecodes, where they are not the function's alone.
    Baseline { table: Vec<u8>, bytecodes: Option<Vec<u8>> },
    /// Those that inline: places, and for each number of an inlined function where it was called and which it is.
    Optimizing { positions: Positions, inlined: Vec<u8> },
    /// The same, without places.
    Silent { exits: Exits },
}

/// A function that an address is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inlined {
    /// None: that of the frame.
    pub(super) shared: Option<u64>,
    pub(super) place: Place,
}

/// A place in a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the script, in characters, where that is known.
    Script(Option<u32>),
    /// In its bytecodes.
    Bytecode(i32),
}

/// Objects of instructions begin at multiples of this (`kCodeAlignment`, and a header of which it is a multiple).
const ALIGNMENT: u64 = 16;
/// Furthest from its object's beginning that an instruction is looked for, in bytes, and how many are read at once.
pub(super) const MAX_CODE: u64 = 2 << 20;
const PIECE: u64 = 4 << 10;
/// Functions that are inlined into each other.
const MAX_DEPTH: usize = 64;
/// `InliningPosition`: { u64 position; i32 function; } (source-position.h)
const INLINED: usize = 16;
/// Longest function of the baseline compiler, in bytes of bytecodes.
const MAX_BYTECODES: i32 = 1 << 20;

impl Code {
    /// That of an address, with the cached one of an object if it is still there.
    pub(super) fn find(
        heap: Heap<'_>,
        address: u64,
        cached: impl FnOnce(u64) -> Option<Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let object = object(heap, address)?;
        let code = match cached(object).filter(|code| code.is_there(heap)) {
            Some(code) => code,
            None => Arc::new(Self::read(heap, object)?),
        };
        (code.start..code.start.saturating_add(code.size.into())).contains(&address).then_some(code)
    }

    /// The functions that an address is in: the innermost first. `is_call`: the last byte of a call is there. `shared` is
    /// that of the frame, where it is known.
    pub(super) fn functions(
        &self,
        heap: Heap<'_>,
        sizes: &BytecodeSizes,
        translations: Option<&Translations>,
        address: u64,
        is_call: bool,
        shared: Option<u64>,
    ) -> Option<Vec<Inlined>> {
        let instruction = u32::try_from(address.checked_sub(self.start)?).ok()?;
        let (positions, inlined) = match &self.compiler {
            Compiler::Baseline { table, bytecodes } => {
                let own = || bytes_of_bytecodes(heap, function::bytecodes(heap, shared?)?);
                let own = if bytecodes.is_none() { own() } else { None };
                let bytecodes = bytecodes.as_ref().or(own.as_ref());
                let bytecode = bytecodes.and_then(|bytecodes| sizes.bytecode_at(table, bytecodes, instruction));
                let bytecode = bytecode.unwrap_or(-1);
                return Some(vec![Inlined { shared: None, place: Place::Bytecode(bytecode) }]);
            }
            Compiler::Silent { exits } => {
                let data = Data::of(heap, self.object)?;
                let at = usize::try_from(instruction).ok()?.checked_add(is_call.into())?;
                let frames = exits.frames(translations?, at, is_call)?;
                let inlined = frames.into_iter().map(|frame| {
                    let shared = Some(data.literal(heap, frame.literal)?);
                    Some(Inlined { shared, place: Place::Bytecode(frame.bytecode) })
                });
                return inlined.collect();
            }
            Compiler::Optimizing { positions, inlined } => (positions, inlined),
        };
        let data = Data::of(heap, self.object)?;
        let mut found = Vec::new();
        let mut position = positions.at(i32::try_from(instruction).ok()?);
        while let Some(number) = position.and_then(Position::inlined) {
            let entry = inlined.as_chunks::<INLINED>().0.get(usize::try_from(number).ok()?)?;
            let entry = u128::from_le_bytes(*entry);
            let (called, function) = (Position::of(entry as u64), (entry >> 64) as i32);
            let shared = match u64::try_from(function) {
                Ok(literal) => data.literal(heap, literal)?,
                // It calls itself.
                Err(_) => data.shared(heap)?,
            };
            found.push(Inlined { shared: Some(shared), place: Place::Script(position.and_then(Position::offset)) });
            // A function is numbered when it is inlined: those into which it was, before.
            if found.len() > MAX_DEPTH || called.inlined() >= Some(number) {
                return None;
            }
            position = Some(called);
        }
        let own = data.shared(heap)?;
        found.push(Inlined { shared: Some(own), place: Place::Script(position.and_then(Position::offset)) });
        Some(found)
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        let compiler = match &self.compiler {
            Compiler::Baseline { table, bytecodes } => table.len() + bytecodes.as_ref().map_or(0, Vec::len),
            Compiler::Optimizing { positions, inlined } => positions.footprint() + inlined.len(),
            Compiler::Silent { exits } => exits.footprint(),
        };
        size_of::<Self>() + compiler
    }

    /// The object that holds the instructions.
    pub(super) fn object(&self) -> u64 {
        self.object
    }

    fn is_there(&self, heap: Heap<'_>) -> bool {
        head(heap, self.object) == Some(self.head)
    }

    fn read(heap: Heap<'_>, object: u64) -> Option<Self> {
        let layout = &heap.layout.code;
        let head = head(heap, object)?;
        let code = of_instructions(heap, object)?;
        let start = match layout.start {
            Start::Within(offset) => Heap::at(code, offset),
            Start::At(offset) => heap.field(code, offset)?,
        };
        let size = heap.half(code, layout.size)?;
        let kind = heap.half(code, layout.flags)? & layout.kind_mask;
        let table = heap.bytes(heap.field(code, layout.positions).filter(|table| is_object(*table))?)?;
        // Compilers are numbered by how much they optimize.
        let compiler = if kind == layout.baseline {
            let array = function::unwrapped(heap, heap.field(code, layout.data)?);
            let bytecodes = array.and_then(|array| bytes_of_bytecodes(heap, array));
            Compiler::Baseline { table, bytecodes }
        } else if kind > layout.baseline {
            let positions = Positions::read(&table, heap.layout.steps);
            let (data, place) = (Data::of(heap, object)?, heap.layout.deoptimization.inlined);
            if positions.is_empty() {
                Compiler::Silent {
                    exits: Exits::read(heap, data.array, u64::from(place) + 1, start, start.checked_add(size.into())?)?,
                }
            } else {
                let inlined = data.field(heap, place).filter(|array| is_object(*array));
                let inlined = inlined.and_then(|array| heap.bytes(array)).unwrap_or_default();
                Compiler::Optimizing { positions, inlined }
            }
        } else {
            return None;
        };
        let code = Self { object, head, start, size, compiler };
        code.is_there(heap).then_some(code)
    }
}

/// `DeoptimizationData`, which is moved as all objects are.
struct Data<'a> {
    array: u64,
    layout: &'a Layout,
}

impl<'a> Data<'a> {
    fn of(heap: Heap<'a>, instructions: u64) -> Option<Self> {
        let code = of_instructions(heap, instructions)?;
        let array = heap.field(code, heap.layout.code.data).filter(|array| is_object(*array))?;
        Some(Self { array, layout: heap.layout })
    }

    fn field(&self, heap: Heap<'_>, place: u16) -> Option<u64> {
        heap.element(self.array, place.into())
    }

    /// That of the function that was compiled.
    fn shared(&self, heap: Heap<'_>) -> Option<u64> {
        let shared = self.field(heap, self.layout.deoptimization.shared)?;
        if self.layout.deoptimization.is_wrapped { heap.field(shared, WRAPPED) } else { Some(shared) }
    }

    fn literal(&self, heap: Heap<'_>, place: u64) -> Option<u64> {
        heap.element(self.field(heap, self.layout.deoptimization.literals)?, place)
    }
}

/// The object whose instructions an address may be among: the last one that begins before.
fn object(heap: Heap<'_>, address: u64) -> Option<u64> {
    let mut end = (address & !(ALIGNMENT - 1)).checked_add(ALIGNMENT)?;
    let lowest = address.saturating_sub(MAX_CODE);
    while end > lowest {
        let start = (end - 1) & !(PIECE - 1);
        let words = heap.memory.words(start, usize::try_from((end - start) / 8).ok()?);
        (!words.is_empty()).then_some(())?;
        let heads = (start..end).step_by(8).zip(words).filter(|(at, _)| at % ALIGNMENT == 0);
        let heads: Vec<(u64, u64)> = heads.collect();
        for (at, word) in heads.into_iter().rev() {
            // Of the words that are no map few look like one.
            if word % 8 == 1 && heap.kind(at + 1) == Some(heap.layout.types.instructions) {
                return Some(at + 1);
            }
        }
        end = start;
    }
    None
}

fn head(heap: Heap<'_>, object: u64) -> Option<[u64; 2]> {
    (heap.kind(object)? == heap.layout.types.instructions).then_some(())?;
    Some([heap.field(object, 0)?, heap.field(object, 8)?])
}

fn of_instructions(heap: Heap<'_>, object: u64) -> Option<u64> {
    let Some(offset) = heap.layout.code.of_instructions else { return Some(object) };
    heap.object(object, offset, heap.layout.types.code)
}

fn bytes_of_bytecodes(heap: Heap<'_>, array: u64) -> Option<Vec<u8>> {
    let length = heap.number(array, super::layout::ARRAY_LENGTH).filter(|length| *length <= MAX_BYTECODES)?;
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    heap.memory.read(Heap::at(array, heap.layout.bytecodes.first), &mut bytes).then_some(bytes)
}
