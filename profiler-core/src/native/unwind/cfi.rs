//! Follows the call frame instructions of `.eh_frame` and `.debug_frame`.
//!
//! gimli's own evaluation keeps all registers, and its rows do not tell a return address that is undefined, which is
//! how the outermost function is marked, from one that nothing was said about. Three columns are all that is needed.

use std::collections::HashMap;

use gimli::{
    BaseAddresses, CallFrameInstruction, CallFrameInstructionIter, CommonInformationEntry, DebugFrame, EhFrame,
    EndianSlice, LittleEndian, Register, UnwindExpression, UnwindOffset, UnwindSection, Vendor,
};

use super::super::elf::{ElfError, ElfFile, Machine};
use super::rows::Function;
use super::rule::Rules;
use super::{Cfa, Found, MAX_SECTION, Row, Rule, UnwindError, aarch64, x86_64};

/// Most states that a function may remember at once; compilers nest two.
const MAX_REMEMBERED: usize = 32;

type Bytes<'d> = EndianSlice<'d, LittleEndian>;

/// What is known in one place about the three values that a walk needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Columns<'d> {
    pub(super) cfa: CfaColumn<'d>,
    pub(super) frame_pointer: Column<'d>,
    pub(super) return_address: Column<'d>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum CfaColumn<'d> {
    Unset,
    Register(Register, i64),
    Expression(&'d [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Column<'d> {
    /// Nothing was said.
    Unset,
    Undefined,
    Same,
    /// At this offset from the frame address.
    Offset(i64),
    /// At the address that the expression gives.
    Expression(&'d [u8]),
    Other,
}

const NOTHING: Columns<'_> =
    Columns { cfa: CfaColumn::Unset, frame_pointer: Column::Unset, return_address: Column::Unset };

/// Adds the functions that `.eh_frame` describes, and tells `each` of them.
pub(super) fn eh_frame(file: &ElfFile, found: &mut Found, each: impl FnMut(&Function)) -> Result<(), UnwindError> {
    let Some(section) = file.section(".eh_frame") else { return Ok(()) };
    let bytes = file.section_bytes(section, MAX_SECTION)?;
    let mut frames = EhFrame::new(&bytes, LittleEndian);
    frames.set_address_size(8);
    frames.set_vendor(vendor(file.machine()));
    let address = |name| file.section(name).map_or(0, |section| section.address);
    let bases =
        BaseAddresses::default().set_eh_frame(section.address).set_text(address(".text")).set_got(address(".got"));
    follow(&frames, &bytes, &bases, found, each)
}

/// Adds the functions that `.debug_frame` describes. Of one that is known already its first description stays.
pub(super) fn debug_frame(file: &ElfFile, found: &mut Found) -> Result<(), UnwindError> {
    let Some(section) = file.section(".debug_frame") else { return Ok(()) };
    let bytes = match file.section_bytes(section, MAX_SECTION) {
        // The rest of the table is good without it.
        Err(ElfError::Compressed(_) | ElfError::TooLarge { .. }) => {
            found.stats.truncated = true;
            return Ok(());
        }
        bytes => bytes?,
    };
    let mut frames = DebugFrame::new(&bytes, LittleEndian);
    frames.set_address_size(8);
    frames.set_vendor(vendor(file.machine()));
    follow(&frames, &bytes, &BaseAddresses::default(), found, |_function| {})
}

fn vendor(machine: Machine) -> Vendor {
    match machine {
        Machine::X86_64 => Vendor::Default,
        Machine::Aarch64 => Vendor::AArch64,
    }
}

/// A common part, and the state in which its functions begin.
struct Common<'d> {
    entry: CommonInformationEntry<Bytes<'d>>,
    initial: Columns<'d>,
}

fn follow<'d, S: UnwindSection<Bytes<'d>>>(
    section: &S,
    bytes: &'d [u8],
    bases: &BaseAddresses,
    found: &mut Found,
    mut each: impl FnMut(&Function),
) -> Result<(), UnwindError> {
    let commons = commons(section, bytes, bases, found);
    let mut described = Function::default();
    for offset in (Entries { bytes, offset: 0 }) {
        let partial = match section.partial_fde_from_offset(bases, offset.into()) {
            Ok(partial) => partial,
            Err(gimli::Error::NotCiePointer(_)) => continue,
            Err(_damaged) => {
                found.stats.damaged += 1;
                continue;
            }
        };
        // Only what the walk over the section has met: an entry within another one could be parsed once for each of
        // its bytes.
        let Some(common) = commons.get(&UnwindOffset::into(partial.cie_offset())) else {
            found.stats.damaged += 1;
            continue;
        };
        let Ok(function) = partial.parse(|_, _, _| Ok(common.entry.clone())) else {
            found.stats.damaged += 1;
            continue;
        };
        let Some((start, end)) = found.pieces.in_code(function.initial_address(), function.len()) else { continue };
        found.stats.functions += 1;
        let mut program = Program::new(bytes, &common.entry, found.machine, common.initial);
        let instructions = function.instructions(section, bases);
        described.start = start;
        described.end = end;
        described.rows.clear();
        if !program.run(instructions, function.initial_address(), &mut described, &mut found.rules) {
            found.stats.damaged += 1;
        }
        found.signed_return_addresses |= program.signs;
        each(&described);
        found.pieces.add(&described)?;
    }
    Ok(())
}

fn commons<'d, S: UnwindSection<Bytes<'d>>>(
    section: &S,
    bytes: &'d [u8],
    bases: &BaseAddresses,
    found: &mut Found,
) -> HashMap<usize, Common<'d>> {
    let mut commons = HashMap::new();
    for offset in (Entries { bytes, offset: 0 }) {
        let entry = match section.cie_from_offset(bases, offset.into()) {
            Ok(entry) => entry,
            Err(gimli::Error::NotCieId(_)) => continue,
            Err(_damaged) => {
                found.stats.damaged += 1;
                continue;
            }
        };
        let mut program = Program::new(bytes, &entry, found.machine, NOTHING);
        if program.initialise(entry.instructions(section, bases)) {
            found.signed_return_addresses |= program.signs;
            let initial = program.columns;
            commons.insert(offset, Common { entry, initial });
        }
    }
    commons
}

/// Where the entries of a section are. gimli's own iterator ends at the first that it cannot read, and an entry that
/// has an augmentation of its vendor's is one.
struct Entries<'d> {
    bytes: &'d [u8],
    offset: usize,
}

impl Iterator for Entries<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let rest = self.bytes.get(self.offset..)?;
            let (length, header) = match u32::from_le_bytes(*rest.first_chunk()?) {
                u32::MAX => (u64::from_le_bytes(*rest.get(4..)?.first_chunk()?), 12),
                length => (length.into(), 4),
            };
            let offset = self.offset;
            self.offset = offset.checked_add(header)?.checked_add(usize::try_from(length).ok()?)?;
            // Zero ends a section, and linkers leave the ends of what they have joined.
            if length > 0 {
                return Some(offset);
            }
        }
    }
}

/// The instructions of one function, or of a common part.
struct Program<'d> {
    bytes: &'d [u8],
    machine: Machine,
    frame_pointer: Register,
    return_address: Register,
    code_factor: u64,
    data_factor: i64,
    is_signal: bool,
    initial: Columns<'d>,
    columns: Columns<'d>,
    remembered: Vec<Columns<'d>>,
    /// Whether return addresses are signed anywhere.
    signs: bool,
}

/// The instructions say something that makes no sense.
struct Damaged;

impl<'d> Program<'d> {
    fn new(
        bytes: &'d [u8],
        common: &CommonInformationEntry<Bytes<'d>>,
        machine: Machine,
        initial: Columns<'d>,
    ) -> Self {
        let (frame_pointer, return_address) = match machine {
            Machine::X86_64 => (x86_64::FRAME_POINTER, x86_64::RETURN_ADDRESS),
            Machine::Aarch64 => (aarch64::FRAME_POINTER, aarch64::LINK_REGISTER),
        };
        Program {
            bytes,
            machine,
            frame_pointer,
            return_address,
            code_factor: common.code_alignment_factor(),
            data_factor: common.data_alignment_factor(),
            is_signal: common.is_signal_trampoline(),
            initial,
            columns: initial,
            remembered: Vec::new(),
            signs: false,
        }
    }

    /// Whether all instructions make sense.
    fn initialise(&mut self, mut instructions: CallFrameInstructionIter<'_, Bytes<'d>>) -> bool {
        loop {
            match instructions.next() {
                Ok(Some(instruction)) if self.step(&instruction).is_ok() => {}
                Ok(None) => return true,
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    }

    /// Whether all instructions make sense. If not, what stands behind cannot be left.
    fn run(
        &mut self,
        instructions: CallFrameInstructionIter<'_, Bytes<'d>>,
        address: u64,
        function: &mut Function,
        rules: &mut Rules,
    ) -> bool {
        let mut here = address;
        let sound = self.follow(instructions, &mut here, address, function, rules);
        let rule = if sound { self.rule() } else { Rule::stop(Cfa::Unsupported) };
        if let Some(pc) = pc(here, address, function.start).filter(|pc| *pc < function.end) {
            push(&mut function.rows, Row { pc, rule: rules.pack(&rule) });
        }
        sound
    }

    fn follow(
        &mut self,
        mut instructions: CallFrameInstructionIter<'_, Bytes<'d>>,
        here: &mut u64,
        address: u64,
        function: &mut Function,
        rules: &mut Rules,
    ) -> bool {
        loop {
            let instruction = match instructions.next() {
                Ok(Some(instruction)) => instruction,
                Ok(None) => return true,
                Err(_) => return false,
            };
            let next = match instruction {
                CallFrameInstruction::AdvanceLoc { delta } => {
                    u64::from(delta).checked_mul(self.code_factor).and_then(|delta| here.checked_add(delta))
                }
                CallFrameInstruction::SetLoc { address } => Some(address),
                _ => {
                    if self.step(&instruction).is_err() {
                        return false;
                    }
                    continue;
                }
            };
            let Some(next) = next.filter(|next| *next >= *here) else { return false };
            if next > *here {
                let Some(pc) = pc(*here, address, function.start).filter(|pc| *pc < function.end) else { return true };
                push(&mut function.rows, Row { pc, rule: rules.pack(&self.rule()) });
            }
            *here = next;
        }
    }

    fn step(&mut self, instruction: &CallFrameInstruction<usize>) -> Result<(), Damaged> {
        use CallFrameInstruction as Instruction;
        match *instruction {
            Instruction::DefCfa { register, offset } => {
                self.columns.cfa = CfaColumn::Register(register, unfactored(offset)?);
            }
            Instruction::DefCfaSf { register, factored_offset } => {
                self.columns.cfa = CfaColumn::Register(register, self.signed(factored_offset)?);
            }
            Instruction::DefCfaRegister { register } => {
                let CfaColumn::Register(_, offset) = self.columns.cfa else { return Err(Damaged) };
                self.columns.cfa = CfaColumn::Register(register, offset);
            }
            Instruction::DefCfaOffset { offset } => self.move_cfa(unfactored(offset)?)?,
            Instruction::DefCfaOffsetSf { factored_offset } => self.move_cfa(self.signed(factored_offset)?)?,
            Instruction::DefCfaExpression { expression } => {
                self.columns.cfa = CfaColumn::Expression(self.expression(&expression)?);
            }
            Instruction::Undefined { register } => self.set(register, Column::Undefined),
            Instruction::SameValue { register } => self.set(register, Column::Same),
            Instruction::Offset { register, factored_offset } => {
                let offset = self.signed(unfactored(factored_offset)?)?;
                self.set(register, Column::Offset(offset));
            }
            Instruction::OffsetExtendedSf { register, factored_offset } => {
                let offset = self.signed(factored_offset)?;
                self.set(register, Column::Offset(offset));
            }
            Instruction::Expression { register, expression } => {
                let expression = self.expression(&expression)?;
                self.set(register, Column::Expression(expression));
            }
            Instruction::ValOffset { register, .. }
            | Instruction::ValOffsetSf { register, .. }
            | Instruction::ValExpression { register, .. }
            | Instruction::Register { dest_register: register, .. } => self.set(register, Column::Other),
            Instruction::Restore { register } if register == self.frame_pointer => {
                self.columns.frame_pointer = self.initial.frame_pointer;
            }
            Instruction::Restore { register } if register == self.return_address => {
                self.columns.return_address = self.initial.return_address;
            }
            Instruction::RememberState if self.remembered.len() < MAX_REMEMBERED => self.remembered.push(self.columns),
            Instruction::RememberState => return Err(Damaged),
            Instruction::RestoreState => self.columns = self.remembered.pop().ok_or(Damaged)?,
            Instruction::NegateRaState => self.signs = true,
            Instruction::Restore { .. } | Instruction::ArgsSize { .. } | Instruction::Nop => {}
            // These move within a function, and a common part has no place.
            Instruction::AdvanceLoc { .. } | Instruction::SetLoc { .. } => return Err(Damaged),
        }
        Ok(())
    }

    fn set(&mut self, register: Register, column: Column<'d>) {
        if register == self.frame_pointer {
            self.columns.frame_pointer = column;
        } else if register == self.return_address {
            self.columns.return_address = column;
        }
    }

    fn move_cfa(&mut self, offset: i64) -> Result<(), Damaged> {
        let CfaColumn::Register(register, _) = self.columns.cfa else { return Err(Damaged) };
        self.columns.cfa = CfaColumn::Register(register, offset);
        Ok(())
    }

    fn signed(&self, factored: i64) -> Result<i64, Damaged> {
        factored.checked_mul(self.data_factor).ok_or(Damaged)
    }

    fn expression(&self, expression: &UnwindExpression<usize>) -> Result<&'d [u8], Damaged> {
        let from = self.bytes.get(expression.offset..).ok_or(Damaged)?;
        from.get(..expression.length).ok_or(Damaged)
    }

    fn rule(&self) -> Rule {
        if self.is_signal {
            return Rule::stop(Cfa::Signal);
        }
        match self.machine {
            Machine::X86_64 => x86_64::rule(&self.columns),
            Machine::Aarch64 => aarch64::rule(&self.columns),
        }
    }
}

fn unfactored(offset: u64) -> Result<i64, Damaged> {
    offset.try_into().map_err(|_too_large| Damaged)
}

/// The address as rows have it; none where it is beyond what they can say.
fn pc(address: u64, initial_address: u64, start: u32) -> Option<u32> {
    u32::try_from(address.checked_sub(initial_address)?).ok()?.checked_add(start)
}

/// Rows with the rule that holds already are not needed.
fn push(rows: &mut Vec<Row>, row: Row) {
    if rows.last().is_none_or(|last| last.rule != row.rule) {
        rows.push(row);
    }
}
