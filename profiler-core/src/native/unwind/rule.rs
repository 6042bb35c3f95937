//! How one frame is left, and how the kernel has it: packed into 32 bits, or in a table of rules.

use std::collections::HashMap;

use super::super::elf::Machine;
use super::Row;

/// How the frame of the caller is found from that of the callee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Where the frame ends.
    pub cfa: Cfa,
    /// Where the caller's frame pointer is: `rbp`, or `x29`.
    pub frame_pointer: FramePointer,
    /// Where the return address is.
    pub return_address: ReturnAddress,
}

/// The canonical frame address: the stack pointer of the caller after the call.
///
/// Offsets are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cfa {
    /// No code is known here.
    None,
    /// Stack pointer and offset.
    StackPointer(i32),
    /// Frame pointer and offset.
    FramePointer(i32),
    /// An entry of a procedure linkage table, of 16 bytes: behind so many bytes of it one word more is on the stack.
    Plt(u8),
    /// There is code, and how to leave it cannot be said in a rule.
    Unsupported,
    /// The outermost frame: there is no caller.
    End,
    /// What a signal handler returns to: the registers that were interrupted are on the stack.
    Signal,
    /// Nothing but the frame pointer is known: it points at the caller's, and behind that is the return address.
    FrameChain,
    /// The word at stack pointer and offset, and so many bytes more.
    AtStackPointer(i32, i32),
    /// The word at frame pointer and offset, and so many bytes more.
    AtFramePointer(i32, i32),
    /// What the goroutine has saved that the thread works for. Where it works for none, or the goroutine's stack is being
    /// copied to another one, this is the outermost frame.
    Goroutine(GoroutinePlaces),
}

/// Where in memory of Go's runtime (x86_64) that is which a goroutine has saved. All places are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GoroutinePlaces {
    /// From the thread pointer to the address of the goroutine that the thread runs at the moment.
    pub thread: i32,
    /// In a goroutine: the address of its thread (`g.m`).
    pub machine: u16,
    /// In a thread: the address of the goroutine that it works for (`m.curg`).
    pub current: u16,
    /// In a goroutine: its stack pointer, and behind that the address of its next instruction (`g.sched`).
    pub stack_pointer: u16,
    /// In a goroutine: its frame pointer.
    pub frame_pointer: u16,
}

/// Where the caller's frame pointer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FramePointer {
    /// Still in its register.
    Unchanged,
    /// At so many bytes from the canonical frame address.
    AtCfa(i32),
    /// At so many bytes from where the frame pointer points.
    AtFramePointer(i32),
}

/// Where the return address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReturnAddress {
    /// In the link register, `x30`; never on x86_64.
    LinkRegister,
    /// At so many bytes from the canonical frame address; on x86_64 always -8.
    AtCfa(i32),
}

impl Rule {
    /// A rule that ends the walk.
    pub(super) const fn stop(cfa: Cfa) -> Self {
        Rule { cfa, frame_pointer: FramePointer::Unchanged, return_address: ReturnAddress::LinkRegister }
    }

    /// A function of x86_64 that has not changed the frame pointer.
    pub(super) const fn x86_64(cfa: Cfa) -> Self {
        Rule { cfa, frame_pointer: FramePointer::Unchanged, return_address: ON_X86_64 }
    }
}

const ON_X86_64: ReturnAddress = ReturnAddress::AtCfa(-8);

/// A rule in 32 bits: bits 0 to 3 are the kind of frame address, and for [`INDEX`] the others the place in the table of
/// rules. Else bits 4 to 15 are its offset in words, signed (for [`PLT`] in bytes), bits 16 to 19 the kind of frame
/// pointer, bits 20 to 31 its offset in words, signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PackedRule(pub u32);

// The kinds of frame addresses, as the kernel's code has them.
const NONE: u8 = 0;
const STACK_POINTER: u8 = 1;
const FRAME_POINTER: u8 = 2;
const PLT: u8 = 3;
const UNSUPPORTED: u8 = 4;
const END: u8 = 5;
const INDEX: u8 = 6;
const SIGNAL: u8 = 7;
const FRAME_CHAIN: u8 = 8;
const AT_STACK_POINTER: u8 = 9;
const AT_FRAME_POINTER: u8 = 10;
const GOROUTINE: u8 = 11;

impl PackedRule {
    /// Nothing is known.
    pub const NONE: Self = PackedRule(NONE as u32);
    /// There is code that cannot be left.
    pub const UNSUPPORTED: Self = PackedRule(UNSUPPORTED as u32);

    /// The place in the table of rules, if that is where the rule is.
    pub fn index(self) -> Option<u32> {
        (self.0 & 0xf == u32::from(INDEX)).then_some(self.0 >> 4)
    }

    /// The rule at a place of the table of rules; a place has 28 bits.
    pub fn at(index: u32) -> Self {
        PackedRule(index << 4 | u32::from(INDEX))
    }

    /// The rule, where it is not in the table.
    pub(super) fn unpack(self, machine: Machine) -> Option<Rule> {
        let number = u8::try_from(self.0 & 0xf).ok()?;
        let offset = signed_words(self.0 >> 4);
        let cfa = match number {
            NONE => Cfa::None,
            STACK_POINTER => Cfa::StackPointer(offset),
            FRAME_POINTER => Cfa::FramePointer(offset),
            PLT => Cfa::Plt(u8::try_from(self.0 >> 4 & 0xfff).ok()?),
            UNSUPPORTED => Cfa::Unsupported,
            END => Cfa::End,
            SIGNAL => Cfa::Signal,
            FRAME_CHAIN => Cfa::FrameChain,
            _ => return None,
        };
        if stops(cfa) {
            return Some(Rule::stop(cfa));
        }
        let frame_pointer = match self.0 >> 16 & 0xf {
            0 => FramePointer::Unchanged,
            _ => FramePointer::AtCfa(signed_words(self.0 >> 20)),
        };
        let return_address = match machine {
            Machine::X86_64 => ON_X86_64,
            Machine::Aarch64 => ReturnAddress::LinkRegister,
        };
        Some(Rule { cfa, frame_pointer, return_address })
    }

    fn pack(rule: &Rule, machine: Machine) -> Option<Self> {
        let (number, offset) = match rule.cfa {
            Cfa::StackPointer(offset) => (STACK_POINTER, words(offset)?),
            Cfa::FramePointer(offset) => (FRAME_POINTER, words(offset)?),
            Cfa::Plt(bytes) => (PLT, bytes.into()),
            Cfa::AtStackPointer(..) | Cfa::AtFramePointer(..) | Cfa::Goroutine(_) => return None,
            Cfa::None | Cfa::Unsupported | Cfa::End | Cfa::Signal | Cfa::FrameChain => {
                return Some(PackedRule(kind(rule.cfa).into()));
            }
        };
        let frame_pointer = match rule.frame_pointer {
            FramePointer::Unchanged => 0,
            FramePointer::AtCfa(offset) => 1 | words(offset)? << 4,
            FramePointer::AtFramePointer(_) => return None,
        };
        match (machine, rule.return_address) {
            (Machine::X86_64, ON_X86_64) | (Machine::Aarch64, ReturnAddress::LinkRegister) => {}
            _ => return None,
        }
        Some(PackedRule(u32::from(number) | offset << 4 | frame_pointer << 16))
    }
}

/// Whether nothing else in the rule matters.
fn stops(cfa: Cfa) -> bool {
    matches!(cfa, Cfa::None | Cfa::Unsupported | Cfa::End | Cfa::Signal | Cfa::FrameChain)
}

fn kind(cfa: Cfa) -> u8 {
    match cfa {
        Cfa::None => NONE,
        Cfa::StackPointer(_) => STACK_POINTER,
        Cfa::FramePointer(_) => FRAME_POINTER,
        Cfa::Plt(_) => PLT,
        Cfa::Unsupported => UNSUPPORTED,
        Cfa::End => END,
        Cfa::Signal => SIGNAL,
        Cfa::FrameChain => FRAME_CHAIN,
        Cfa::AtStackPointer(..) => AT_STACK_POINTER,
        Cfa::AtFramePointer(..) => AT_FRAME_POINTER,
        Cfa::Goroutine(_) => GOROUTINE,
    }
}

/// An offset in words, as a signed number of 12 bits.
fn words(offset: i32) -> Option<u32> {
    let words = offset / 8;
    (offset % 8 == 0 && (-2048..2048).contains(&words)).then_some(words.cast_unsigned() & 0xfff)
}

/// The lowest 12 bits as a signed number, times eight.
fn signed_words(bits: u32) -> i32 {
    (bits << 20).cast_signed() >> 17
}

impl Rule {
    /// The rule as the kernel has it where it does not fit into 32 bits: `{ u8 cfa_kind; u8 fp_kind; u8 ra_kind;
    /// u8 pad; s32 cfa_offset; s32 fp_offset; s32 ra_offset; }`, little-endian.
    ///
    /// The kinds of frame addresses that are only here are 9, the word at stack pointer and `cfa_offset`, and 10, the
    /// word at frame pointer and `cfa_offset`: to both `ra_offset` is added, and the return address is below as ever
    /// on x86_64. The kind of frame pointer that is only here is 2: at frame pointer and `fp_offset`.
    ///
    /// Of kind 11, what a goroutine has saved, are `{ s32 thread; u16 machine; u16 current; u16 stack_pointer; u16
    /// frame_pointer; }` in the place of the offsets.
    pub fn to_bytes(self) -> [u8; 16] {
        if let Cfa::Goroutine(places) = self.cfa {
            return places.to_bytes();
        }
        let (cfa_offset, more) = match self.cfa {
            Cfa::StackPointer(offset) | Cfa::FramePointer(offset) => (offset, None),
            Cfa::Plt(bytes) => (bytes.into(), None),
            Cfa::AtStackPointer(offset, more) | Cfa::AtFramePointer(offset, more) => (offset, Some(more)),
            Cfa::None | Cfa::Unsupported | Cfa::End | Cfa::Signal | Cfa::FrameChain | Cfa::Goroutine(_) => (0, None),
        };
        let (fp_kind, fp_offset) = match self.frame_pointer {
            FramePointer::Unchanged => (0, 0),
            FramePointer::AtCfa(offset) => (1, offset),
            FramePointer::AtFramePointer(offset) => (2, offset),
        };
        let (ra_kind, ra_offset) = match self.return_address {
            ReturnAddress::LinkRegister => (0, 0),
            ReturnAddress::AtCfa(offset) => (1, offset),
        };
        let [c0, c1, c2, c3] = cfa_offset.to_le_bytes();
        let [f0, f1, f2, f3] = fp_offset.to_le_bytes();
        let [r0, r1, r2, r3] = more.unwrap_or(ra_offset).to_le_bytes();
        [kind(self.cfa), fp_kind, ra_kind, 0, c0, c1, c2, c3, f0, f1, f2, f3, r0, r1, r2, r3]
    }
}

impl GoroutinePlaces {
    fn to_bytes(self) -> [u8; 16] {
        let [t0, t1, t2, t3] = self.thread.to_le_bytes();
        let [[m0, m1], [c0, c1]] = [self.machine, self.current].map(u16::to_le_bytes);
        let [[s0, s1], [f0, f1]] = [self.stack_pointer, self.frame_pointer].map(u16::to_le_bytes);
        [GOROUTINE, 0, 0, 0, t0, t1, t2, t3, m0, m1, c0, c1, s0, s1, f0, f1]
    }
}

/// Most rules that do not fit into 32 bits.
pub const MAX_RULES: usize = 1 << 16;

/// Packs rules, and keeps those that do not fit.
#[derive(Debug)]
pub(super) struct Rules {
    machine: Machine,
    list: Vec<Rule>,
    places: HashMap<Rule, u32>,
}

impl Rules {
    pub(super) fn new(machine: Machine) -> Self {
        Rules { machine, list: Vec::new(), places: HashMap::new() }
    }

    /// Where the table is full, what cannot be packed becomes unsupported.
    pub(super) fn pack(&mut self, rule: &Rule) -> PackedRule {
        if let Some(packed) = PackedRule::pack(rule, self.machine) {
            return packed;
        }
        if let Some(place) = self.places.get(rule) {
            return PackedRule::at(*place);
        }
        if self.list.len() >= MAX_RULES {
            return PackedRule::UNSUPPORTED;
        }
        let Ok(place) = u32::try_from(self.list.len()) else { return PackedRule::UNSUPPORTED };
        self.list.push(*rule);
        self.places.insert(*rule, place);
        PackedRule::at(place)
    }

    /// The rule that was packed, or none where the bits are no rule.
    pub(super) fn unpack(&self, packed: PackedRule) -> Option<Rule> {
        match packed.index() {
            Some(place) => self.list.get(usize::try_from(place).ok()?).copied(),
            None => packed.unpack(self.machine),
        }
    }

    /// The rules that some row names, in the order of the rows, which name them by their new places: of what was
    /// packed not all has come into the table.
    pub(super) fn used_by(self, rows: &mut [Row]) -> Box<[Rule]> {
        let mut used = Rules::new(self.machine);
        for row in rows.iter_mut().filter(|row| row.rule.index().is_some()) {
            if let Some(rule) = self.unpack(row.rule) {
                row.rule = used.pack(&rule);
            }
        }
        used.list.into()
    }
}
