//! The few DWARF expressions that compilers and linkers write into call frame information.

use gimli::constants::{
    DW_OP_and, DW_OP_breg0, DW_OP_deref, DW_OP_ge, DW_OP_lit0, DW_OP_lit3, DW_OP_lit15, DW_OP_plus, DW_OP_plus_uconst,
    DW_OP_shl,
};
use gimli::{EndianSlice, LittleEndian, Reader, Register};

/// What an expression stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A register and an offset.
    Register(Register, i32),
    /// The word at a register and an offset, and so many bytes more.
    At(Register, i32, i32),
}

/// `[register + offset]`, `[register + offset] + more`, or `register + offset`.
pub(super) fn meaning(expression: &[u8]) -> Option<Meaning> {
    let mut rest = EndianSlice::new(expression, LittleEndian);
    let register = rest.read_u8().ok()?.checked_sub(DW_OP_breg0.0).filter(|register| *register < 32)?;
    let register = Register(register.into());
    let offset = i32::try_from(rest.read_sleb128().ok()?).ok()?;
    if rest.is_empty() {
        return Some(Meaning::Register(register, offset));
    }
    if rest.read_u8().ok()? != DW_OP_deref.0 {
        return None;
    }
    if rest.is_empty() {
        return Some(Meaning::At(register, offset, 0));
    }
    if rest.read_u8().ok()? != DW_OP_plus_uconst.0 {
        return None;
    }
    let more = i32::try_from(rest.read_uleb128().ok()?).ok()?;
    rest.is_empty().then_some(Meaning::At(register, offset, more))
}

/// How linkers describe an entry of a procedure linkage table: `rsp + 8 + ((rip & 15) >= n ? 8 : 0)`. The number of
/// bytes behind which the entry has pushed a word: 11, or 9 where entries begin with `endbr64`.
pub(super) fn plt(expression: &[u8]) -> Option<u8> {
    const RSP: u8 = DW_OP_breg0.0 + 7;
    const RIP: u8 = DW_OP_breg0.0 + 16;
    let [RSP, 8, RIP, 0, rest @ ..] = expression else { return None };
    let [fifteen, and, limit, ge, three, shl, plus] = rest else { return None };
    let operators = [*fifteen, *and, *ge, *three, *shl, *plus];
    let expected = [DW_OP_lit15.0, DW_OP_and.0, DW_OP_ge.0, DW_OP_lit3.0, DW_OP_shl.0, DW_OP_plus.0];
    let limit = limit.checked_sub(DW_OP_lit0.0).filter(|limit| *limit < 16)?;
    (operators == expected).then_some(limit)
}
