//! Walks a stack by the rows of tables: what the kernel's code does, in user space.

use super::super::elf::Machine;
use super::{Cfa, FramePointer, GoroutinePlaces, ReturnAddress, Rule, UnwindTable};

/// What is kept of a thread's registers from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// The next instruction.
    pub ip: u64,
    /// The stack pointer.
    pub sp: u64,
    /// `rbp`, or `x29`.
    pub fp: u64,
    /// `x30`: only in a frame that was interrupted, a caller's is no longer known.
    pub lr: Option<u64>,
    /// Where the thread's own data are: the base of `fs`. Only on x86_64, and only Go's runtime needs it.
    pub thread_pointer: Option<u64>,
}

/// Where an address of a process is.
#[derive(Debug, Clone, Copy)]
pub struct Code<'t> {
    /// The table of the file that is mapped there.
    pub table: &'t UnwindTable,
    /// The address in that file.
    pub address: u64,
}

/// Why a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All frames were found.
    End,
    /// An address is in no file that there is a table of.
    NoCode,
    /// The file says nothing about the address.
    NoInformation,
    /// The file says something that no rule can say.
    Unsupported,
    /// A frame that called another one says that its return address is in a register.
    NoReturnAddress,
    /// The stack cannot be read there.
    Unreadable,
    /// There are more frames than were asked for.
    Limit,
}

/// The frames of a stack, the innermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The instruction at which each frame will go on: behind the call, but in frames that were interrupted.
    pub frames: Vec<u64>,
    /// Why there are no more.
    pub stop: Stop,
}

/// Bounds of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most frames.
    pub frames: usize,
    /// Which bits of a return address are its address: all but the signature, where return addresses are signed.
    pub address_mask: u64,
}

/// Finds the frames of a stack. `code` says where an address is, `word` reads the process' memory.
pub fn walk<'t>(
    mut registers: Registers,
    limits: Limits,
    mut code: impl FnMut(u64) -> Option<Code<'t>>,
    mut word: impl FnMut(u64) -> Option<u64>,
) -> Walk {
    let mut frames = Vec::new();
    // A return address may be behind its function's end, where the call was the last that it did.
    let mut is_return_address = false;
    while frames.len() < limits.frames {
        frames.push(registers.ip);
        let looked_up = registers.ip.wrapping_sub(u64::from(is_return_address));
        let Some(Code { table, address }) = code(looked_up) else { return Walk { frames, stop: Stop::NoCode } };
        let rule = table.rule(address);
        match step(&rule, table.machine, registers, &mut word) {
            Ok(caller) => registers = Registers { ip: caller.ip & limits.address_mask, ..caller },
            Err(stop) => return Walk { frames, stop },
        }
        if registers.ip == 0 {
            return Walk { frames, stop: Stop::End };
        }
        is_return_address = !matches!(rule.cfa, Cfa::Signal | Cfa::Goroutine(_));
    }
    Walk { frames, stop: Stop::Limit }
}

fn step(
    rule: &Rule,
    machine: Machine,
    registers: Registers,
    word: &mut impl FnMut(u64) -> Option<u64>,
) -> Result<Registers, Stop> {
    let mut at = |address: u64| word(address).ok_or(Stop::Unreadable);
    let Registers { ip, sp, fp, lr, thread_pointer } = registers;
    let cfa = match rule.cfa {
        Cfa::None => return Err(Stop::NoInformation),
        Cfa::Unsupported => return Err(Stop::Unsupported),
        Cfa::End => return Err(Stop::End),
        Cfa::Signal => return interrupted(machine, registers, at),
        Cfa::Goroutine(places) => return goroutine(places, registers, at),
        Cfa::FrameChain if fp == 0 => return Err(Stop::End),
        Cfa::FrameChain => {
            let (ip, sp) = (at(fp.wrapping_add(8))?, fp.wrapping_add(16));
            return Ok(Registers { ip, sp, fp: at(fp)?, lr: None, thread_pointer });
        }
        Cfa::StackPointer(offset) => moved(sp, offset),
        Cfa::FramePointer(offset) => moved(fp, offset),
        Cfa::Plt(pushed) => sp.wrapping_add(if ip & 15 >= u64::from(pushed) { 16 } else { 8 }),
        Cfa::AtStackPointer(offset, more) => moved(at(moved(sp, offset))?, more),
        Cfa::AtFramePointer(offset, more) => moved(at(moved(fp, offset))?, more),
    };
    let fp = match rule.frame_pointer {
        FramePointer::Unchanged => fp,
        FramePointer::AtCfa(offset) => at(moved(cfa, offset))?,
        FramePointer::AtFramePointer(offset) => at(moved(fp, offset))?,
    };
    let ip = match rule.return_address {
        ReturnAddress::LinkRegister => lr.ok_or(Stop::NoReturnAddress)?,
        ReturnAddress::AtCfa(offset) => at(moved(cfa, offset))?,
    };
    Ok(Registers { ip, sp: cfa, fp, lr: None, thread_pointer })
}

fn moved(address: u64, offset: i32) -> u64 {
    address.wrapping_add_signed(offset.into())
}

/// The registers that the kernel saved when it called a signal handler, as `struct ucontext` has them: at the stack
/// pointer on x86_64, behind `struct siginfo` (128 bytes) on aarch64.
fn interrupted(
    machine: Machine,
    registers: Registers,
    mut at: impl FnMut(u64) -> Result<u64, Stop>,
) -> Result<Registers, Stop> {
    let mut saved = |offset: u64| at(registers.sp.wrapping_add(offset));
    let (ip, sp, fp, lr) = match machine {
        Machine::X86_64 => (saved(168)?, saved(160)?, saved(120)?, None),
        Machine::Aarch64 => (saved(568)?, saved(560)?, saved(544)?, Some(saved(552)?)),
    };
    Ok(Registers { ip, sp, fp, lr, ..registers })
}

/// Where the goroutine goes on that the thread works for. Its first two words are the bounds of its stack.
fn goroutine(
    places: GoroutinePlaces,
    registers: Registers,
    mut at: impl FnMut(u64) -> Result<u64, Stop>,
) -> Result<Registers, Stop> {
    let mut current = || {
        let own = at(moved(registers.thread_pointer?, places.thread)).ok().filter(|own| *own != 0)?;
        let machine = at(own.wrapping_add(places.machine.into())).ok().filter(|machine| *machine != 0)?;
        let current = at(machine.wrapping_add(places.current.into())).ok().filter(|current| *current != 0)?;
        (at(current.wrapping_add(places.machine.into())).ok()? == machine).then_some(current)
    };
    let current = current().ok_or(Stop::End)?;
    let stack = at(current)?..at(current.wrapping_add(8))?;
    let saved = current.wrapping_add(places.stack_pointer.into());
    let (sp, ip) = (at(saved)?, at(saved.wrapping_add(8))?);
    let fp = at(current.wrapping_add(places.frame_pointer.into()))?;
    if !stack.contains(&sp) || (fp != 0 && !stack.contains(&fp)) {
        return Err(Stop::End);
    }
    Ok(Registers { ip, sp, fp, lr: None, ..registers })
}
