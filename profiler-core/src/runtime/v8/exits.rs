//! Which functions an instruction is of, where no table says it: optimized code leaves by exits where it assumed too much,
//! and each exit says the frames that the interpreter goes on with (`deoptimization-data.h`,
//! `frame-translation-builder.cc`). An instruction is of the functions that the next exit on its way says.

use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind};

use super::heap::{Heap, number};
use super::layout::ARRAY;
use super::positions::{sign, unsigned};

/// The exits of a piece of code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exits {
    /// The instructions before the first exit.
    code: Vec<u8>,
    exits: Vec<Exit>,
    /// Of an exit, in bytes.
    size: usize,
    translations: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exit {
    /// Where its frames are described.
    translation: usize,
    /// Where the call returns to after which it is taken; none of one that a check jumps to.
    returns_to: Option<usize>,
}

/// A frame of the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// The function, by its place among the literals of the code.
    pub(super) literal: u64,
    pub(super) bytecode: i32,
}

/// How frames are described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Translations {
    /// Operands of each opcode.
    operands: Vec<u8>,
    /// The first of those that begin a description. All of them have an operand that leads back to one that this one
    /// repeats, but for the first versions.
    begin: [u8; 2],
    /// Those of functions' frames: a bytecode, a literal, and more.
    frames: [u8; 2],
    repeats: bool,
}

/// Most exits of a piece of code.
const MAX_EXITS: usize = 32 << 10;
/// Instructions on the way to an exit.
const MAX_STEPS: usize = 512;
/// Operations of one description.
const MAX_OPERATIONS: usize = 4096;
/// Words of an exit in the array: a bytecode, where it is described, where a call returns to.
const EXIT: usize = 3;
/// What comes before: where the exits begin, and how many are of checks and how many of calls.
const HEAD: u64 = 3;

impl Translations {
    /// `TranslationOpcodeOperandCount`, from the file itself. None of an order of opcodes that is not known: it is told by
    /// how many there are.
    pub(super) fn of(operands: Vec<u8>) -> Option<Self> {
        // translation-opcode.h: 9.0 to 10.x, 11.3, 12.4, and 13.6 to 14.6.
        let (begin, frames, repeats) = match operands.len() {
            28 => ([3, 3], [18, 18], false),
            36 => ([2, 3], [23, 24], true),
            40 => ([12, 13], [0, 1], true),
            45 => ([14, 15], [0, 1], true),
            _ => return None,
        };
        Some(Self { operands, begin, frames, repeats })
    }

    /// The frames of a description, the outermost first.
    fn frames(&self, bytes: &[u8], at: usize) -> Option<Vec<Frame>> {
        let own = self.operations(bytes, at)?;
        let back = own.first().and_then(|first| first.operands.first()).copied().filter(|_| self.repeats).unwrap_or(0);
        let back = usize::try_from(back).ok()?;
        let repeated = if back == 0 { Vec::new() } else { self.operations(bytes, at.checked_sub(back)?)? };
        let mut all: Vec<Operation> = Vec::new();
        for operation in own {
            match operation.repeats {
                Some(count) => {
                    let from = all.len();
                    all.extend(repeated.get(from..from.checked_add(count)?)?.iter().cloned());
                }
                None => all.push(operation),
            }
        }
        let frames = all.iter().filter(|operation| self.frames.contains(&operation.code)).map(|operation| {
            let [bytecode, literal, ..] = operation.operands[..] else { return None };
            Some(Frame { literal: sign(literal).try_into().ok()?, bytecode: sign(bytecode).try_into().ok()? })
        });
        frames.collect()
    }

    /// Those of one description.
    fn operations(&self, bytes: &[u8], at: usize) -> Option<Vec<Operation>> {
        let mut rest = bytes.get(at..)?.iter();
        let last = u8::try_from(self.operands.len()).ok()?.checked_sub(1)?;
        let mut operations: Vec<Operation> = Vec::new();
        while operations.len() < MAX_OPERATIONS
            && let Some(code) = rest.next()
        {
            if self.begin.contains(code) && !operations.is_empty() {
                break;
            }
            if self.repeats && *code > last {
                // How many are repeated, in the same byte.
                operations.push(Operation::repeating((*code - last - 1).into()));
                continue;
            }
            let count = *self.operands.get(usize::from(*code))?;
            let operands: Vec<u64> = (0..count).map(|_| unsigned(&mut rest)).collect::<Option<_>>()?;
            operations.push(match operands[..] {
                [count] if self.repeats && *code == last => Operation::repeating(usize::try_from(count).ok()?),
                _ => Operation { code: *code, operands, repeats: None },
            });
        }
        Some(operations)
    }
}

#[derive(Debug, Clone)]
struct Operation {
    code: u8,
    operands: Vec<u64>,
    /// It stands for so many of the description that is repeated.
    repeats: Option<usize>,
}

impl Operation {
    fn repeating(count: usize) -> Self {
        Self { code: u8::MAX, operands: Vec::new(), repeats: Some(count) }
    }
}

impl Exits {
    /// Those of code that begins at `start`. `array` is its deoptimization data, `head` the place of its exits' beginning.
    /// Behind `end` is what the code has besides its instructions.
    pub(super) fn read(heap: Heap<'_>, array: u64, head: u64, start: u64, end: u64) -> Option<Self> {
        let place = |place: u64| number(heap.element(array, place)?).and_then(|number| usize::try_from(number).ok());
        let first = place(head)?;
        let count = place(head + 1)?.checked_add(place(head + 2)?).filter(|count| *count <= MAX_EXITS)?;
        let mut code = vec![0; first.checked_add(16).filter(|first| *first as u64 <= super::code::MAX_CODE)?];
        heap.memory.read(start, &mut code).then_some(())?;
        let size = Decoder::new(64, code.get(first..)?, DecoderOptions::NONE).decode().len();
        code.truncate(first);
        let words = Heap::at(array, ARRAY).wrapping_add((head + HEAD) * 8);
        let words = heap.memory.words(words, count * EXIT);
        let exits = words.as_chunks::<EXIT>().0.iter().map(|[_, translation, returns_to]| {
            let at = |word: u64| number(word).and_then(|at| usize::try_from(at).ok());
            Some(Exit { translation: at(*translation)?, returns_to: at(*returns_to) })
        });
        let mut exits: Vec<Exit> = exits.collect::<Option<_>>()?;
        for (returns_to, exit, to) in safepoints(heap, end).unwrap_or_default() {
            // Where the exit is is said once more: what is no table of such points does not know it.
            if let Some(known) = exits.get_mut(exit)
                && to == first.saturating_add(exit.saturating_mul(size)).saturating_add(1)
            {
                known.returns_to = Some(returns_to);
            }
        }
        let translations = heap.bytes(heap.element(array, 0)?)?;
        (size > 0 && exits.len() == count).then_some(Self { code, exits, size, translations })
    }

    /// The frames of the next exit from an instruction on; the innermost first. Of a call that did not return yet it is
    /// the exit behind it, where that is known.
    pub(super) fn frames(&self, translations: &Translations, at: usize, is_call: bool) -> Option<Vec<Frame>> {
        let exit = if is_call { self.of_call(at) } else { self.next(at) };
        let mut frames = translations.frames(&self.translations, exit?.translation)?;
        frames.reverse();
        (!frames.is_empty()).then_some(frames)
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        self.code.len() + self.translations.len() + self.exits.len() * size_of::<Exit>()
    }

    fn of_call(&self, returns_to: usize) -> Option<Exit> {
        self.exits.iter().copied().find(|exit| exit.returns_to == Some(returns_to))
    }

    fn at(&self, target: usize) -> Option<Exit> {
        let within = target.checked_sub(self.code.len())?;
        self.exits.get(within / self.size).copied().filter(|_| within.is_multiple_of(self.size))
    }

    /// The one that is come to first when no jump ahead is taken.
    fn next(&self, mut at: usize) -> Option<Exit> {
        for _ in 0..MAX_STEPS {
            let mut decoder = Decoder::with_ip(64, self.code.get(at..)?, at as u64, DecoderOptions::NONE);
            let instruction = decoder.decode();
            let after = at.checked_add(instruction.len())?;
            let is_jump = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64;
            at = match instruction.mnemonic() {
                Mnemonic::Call => match self.of_call(after) {
                    Some(exit) => return Some(exit),
                    None => after,
                },
                Mnemonic::Ret | Mnemonic::Int3 | Mnemonic::INVALID => return None,
                mnemonic if is_jump => {
                    let target = usize::try_from(instruction.near_branch64()).ok()?;
                    if let Some(exit) = self.at(target) {
                        return Some(exit);
                    }
                    if target < at || mnemonic == Mnemonic::Jmp { target } else { after }
                }
                // Where to is not known.
                Mnemonic::Jmp => return None,
                _ => after,
            };
        }
        None
    }
}

/// Calls of one piece of code.
const MAX_CALLS: usize = 64 << 10;

/// `SafepointTable` (safepoint-table.h of 13.6): where calls return to, the exit of each, and one more than where that is.
/// A header of four numbers, of which the first is how many there are and the third how large their fields are.
fn safepoints(heap: Heap<'_>, table: u64) -> Option<Vec<(usize, usize, usize)>> {
    let mut header = [0; 16];
    heap.memory.read(table, &mut header).then_some(())?;
    let header = u128::from_le_bytes(header);
    let (count, fields) = (header as u32 as usize, (header >> 64) as u32);
    // A bit for exits; then three each for the sizes of registers, of addresses and of exits.
    let field = |shift: u32| (fields >> shift & 7) as usize;
    let (has_exits, registers, address, exit) = (fields & 1 != 0, field(1), field(4), field(7));
    let size = 2 * address + exit + registers;
    (has_exits && address > 0 && exit > 0 && count <= MAX_CALLS).then_some(())?;
    let mut bytes = vec![0; count * size];
    heap.memory.read(table.checked_add(16)?, &mut bytes).then_some(())?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte));
    let entries = bytes.chunks_exact(size).filter_map(|entry| {
        let (returns_to, rest) = entry.split_at_checked(address)?;
        let (place, rest) = rest.split_at_checked(exit)?;
        // None has 0.
        Some((number(returns_to), number(place).checked_sub(1)?, number(rest.get(..address)?)))
    });
    Some(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in 13.6.
    fn translations() -> Translations {
        let operands =
            [&[6, 4, 3, 3, 2, 1, 3, 4, 3, 3, 3, 1, 0, 0, 3, 3, 1, 1, 1, 0][..], &[1; 17], &[0], &[1; 5], &[2, 1]];
        Translations::of(operands.concat()).unwrap()
    }

    fn frame(literal: u64, bytecode: i32) -> Frame {
        Frame { literal, bytecode }
    }

    /// Two frames and a value between; then one that repeats its beginning and its first frame, with another second.
    const TWO: &[u8] = &[14, 0, 4, 4, 1, 20, 2, 4, 1, 37, 1, 9, 6, 8, 2];
    const REPEATED: &[u8] = &[14, 15, 4, 4, 46, 37, 1, 11, 6, 8, 2];

    #[test]
    fn frames_are_read_as_v8_describes_them() {
        let bytes = [TWO, REPEATED].concat();
        let translations = translations();
        assert_eq!(translations.frames(&bytes, 0), Some(vec![frame(1, 10), frame(3, -5)]));
        assert_eq!(translations.frames(&bytes, TWO.len()), Some(vec![frame(1, 10), frame(3, -6)]));
        for length in 0..bytes.len() {
            let _ = translations.frames(&bytes[..length], TWO.len().min(length));
        }
        assert_eq!(Translations::of(vec![1; 30]), None);
    }

    #[test]
    fn an_instruction_is_of_the_functions_of_the_next_exit() {
        // 0: add eax, 1; 3: jo +15 (20: the second exit); 9: call +0; 14: jmp -16 (0); 16: the exits, of four bytes each.
        let code = [0x83, 0xc0, 0x01, 0x0f, 0x80, 0x0b, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xeb, 0xf0];
        let exit = |translation, returns_to| Exit { translation, returns_to };
        let exits = Exits {
            code: code.to_vec(),
            exits: vec![exit(0, Some(14)), exit(TWO.len(), None)],
            size: 4,
            translations: [TWO, REPEATED].concat(),
        };
        let at = |at, is_call| exits.frames(&translations(), at, is_call).map(|frames| frames[0].bytecode);
        assert_eq!([at(0, false), at(3, false)], [Some(-6); 2]);
        assert_eq!(at(9, false), Some(-5));
        assert_eq!((at(14, false), at(14, true)), (Some(-6), Some(-5)));
        assert_eq!(at(16, false), None);
    }
}
