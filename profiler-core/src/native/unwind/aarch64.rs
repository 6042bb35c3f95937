//! What rows mean on aarch64.

use gimli::{AArch64, Register};

use super::cfi::{CfaColumn, Column, Columns};
use super::{Cfa, FramePointer, ReturnAddress, Rule};

pub(super) const FRAME_POINTER: Register = AArch64::X29;
pub(super) const LINK_REGISTER: Register = AArch64::X30;

pub(super) fn rule(columns: &Columns<'_>) -> Rule {
    if columns.return_address == Column::Undefined {
        return Rule::stop(Cfa::End);
    }
    supported(columns).unwrap_or(Rule::stop(Cfa::Unsupported))
}

fn supported(columns: &Columns<'_>) -> Option<Rule> {
    let cfa = match columns.cfa {
        CfaColumn::Register(AArch64::SP, offset) => Cfa::StackPointer(offset.try_into().ok()?),
        CfaColumn::Register(AArch64::X29, offset) => Cfa::FramePointer(offset.try_into().ok()?),
        CfaColumn::Register(..) | CfaColumn::Expression(_) | CfaColumn::Unset => return None,
    };
    let frame_pointer = match columns.frame_pointer {
        Column::Unset | Column::Same | Column::Undefined => FramePointer::Unchanged,
        Column::Offset(offset) => FramePointer::AtCfa(offset.try_into().ok()?),
        Column::Expression(_) | Column::Other => return None,
    };
    let return_address = match columns.return_address {
        Column::Unset | Column::Same => ReturnAddress::LinkRegister,
        Column::Offset(offset) => ReturnAddress::AtCfa(offset.try_into().ok()?),
        Column::Undefined | Column::Expression(_) | Column::Other => return None,
    };
    Some(Rule { cfa, frame_pointer, return_address })
}
