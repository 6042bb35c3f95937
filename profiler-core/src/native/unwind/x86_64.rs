//! What rows mean on x86_64.

use gimli::{Register, X86_64};

use super::cfi::{CfaColumn, Column, Columns};
use super::expression::{self, Meaning};
use super::{Cfa, FramePointer, ReturnAddress, Rule};

pub(super) const FRAME_POINTER: Register = X86_64::RBP;
pub(super) const RETURN_ADDRESS: Register = X86_64::RA;

pub(super) fn rule(columns: &Columns<'_>) -> Rule {
    if columns.return_address == Column::Undefined {
        return Rule::stop(Cfa::End);
    }
    supported(columns).unwrap_or(Rule::stop(Cfa::Unsupported))
}

fn supported(columns: &Columns<'_>) -> Option<Rule> {
    let Column::Offset(-8) = columns.return_address else { return None };
    let cfa = match columns.cfa {
        CfaColumn::Register(X86_64::RSP, offset) => Cfa::StackPointer(offset.try_into().ok()?),
        CfaColumn::Register(X86_64::RBP, offset) => Cfa::FramePointer(offset.try_into().ok()?),
        CfaColumn::Expression(bytes) => of_expression(bytes)?,
        CfaColumn::Register(..) | CfaColumn::Unset => return None,
    };
    let frame_pointer = match columns.frame_pointer {
        Column::Unset | Column::Same | Column::Undefined => FramePointer::Unchanged,
        Column::Offset(offset) => FramePointer::AtCfa(offset.try_into().ok()?),
        Column::Expression(bytes) => match expression::meaning(bytes)? {
            Meaning::Register(X86_64::RBP, offset) => FramePointer::AtFramePointer(offset),
            _ => return None,
        },
        Column::Other => return None,
    };
    Some(Rule { cfa, frame_pointer, return_address: ReturnAddress::AtCfa(-8) })
}

/// Functions that align their stack, and hand-written ones, keep the frame address in the stack itself.
fn of_expression(bytes: &[u8]) -> Option<Cfa> {
    if let Some(limit) = expression::plt(bytes) {
        return Some(Cfa::Plt(limit));
    }
    match expression::meaning(bytes)? {
        Meaning::Register(X86_64::RSP, offset) => Some(Cfa::StackPointer(offset)),
        Meaning::Register(X86_64::RBP, offset) => Some(Cfa::FramePointer(offset)),
        Meaning::At(X86_64::RSP, offset, more) => Some(Cfa::AtStackPointer(offset, more)),
        Meaning::At(X86_64::RBP, offset, more) => Some(Cfa::AtFramePointer(offset, more)),
        _ => None,
    }
}
