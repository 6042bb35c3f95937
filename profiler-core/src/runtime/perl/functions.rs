//! Subroutines of Perl, and the program itself: what they are called, and where they are.

use super::Instance;
use super::objects::{FORMAT, Objects, SUB, VARIABLE};
use crate::runtime::check::check_of;
use crate::runtime::memory::ReadMemory;

/// A subroutine, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PerlFunction {
    /// `Package::name`; of one without a name with its place, `Package::__ANON__[file:line]`.
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) first_line: u32,
}

/// What stands for the program itself.
const PROGRAM: &str = "<main>";
/// What Perl calls subroutines without a name.
const NO_NAME: &str = "__ANON__";

impl PerlFunction {
    /// The line that a frame says; of one that says none that of the beginning.
    pub(crate) fn line(&self, said: u32) -> u32 {
        if said == 0 { self.first_line } else { said }
    }

    /// In bytes.
    pub(crate) fn footprint(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.file.len()
    }
}

/// `OP`: `op_ppaddr`; `COP`: `cop_line` in the upper half, `cop_file`.
const RUN_BY: u64 = 16;
const PLACE_LINE: u16 = 32;
const PLACE_FILE: u16 = 48;
/// `XPVCV`: `xcv_stash`, `xcv_start_u`, `xcv_gv_u`, `xcv_file`, `xcv_flags` in the upper half.
const SUB_PACKAGE: u16 = 32;
const SUB_START: u16 = 40;
const SUB_NAME: u16 = 56;
const SUB_FILE: u16 = 64;
const SUB_FLAGS: u16 = 88;
/// `CVf_NAMED`, `CVf_LEXICAL`
const IS_NAMED: u64 = 0x8000;
const IS_LEXICAL: u64 = 0x1_0000;
/// `XPVGV`: `xiv_u.xivu_namehek`, `xnv_u.xgv_stash`.
const VARIABLE_NAME: u16 = 32;
const VARIABLE_PACKAGE: u16 = 40;

/// Reads what a frame stands for: a subroutine, or a place in the program itself.
pub(super) fn read(instance: &Instance, memory: &dyn ReadMemory, address: u64, check: u16) -> Option<PerlFunction> {
    let objects = Objects { memory, layout: &instance.layout };
    if let Some((file, _)) = place(instance, objects, address) {
        return Some(PerlFunction { name: PROGRAM.to_owned(), file, first_line: 1 });
    }
    let body = objects.body(address, SUB).or_else(|| objects.body(address, FORMAT))?;
    let (start, name) = (objects.field(body, SUB_START)?, objects.field(body, SUB_NAME)?);
    if check == 0 || check != checked(body, start, name) {
        return None;
    }
    let flags = objects.field(body, SUB_FLAGS)? >> 32;
    let (name, package) = if flags & IS_NAMED == 0 {
        let variable = objects.body(name, VARIABLE)?;
        let name = objects.name(objects.field(variable, VARIABLE_NAME)?)?;
        (name, objects.field(variable, VARIABLE_PACKAGE).and_then(|package| objects.package(package)))
    } else {
        let package = if flags & IS_LEXICAL == 0 { objects.field(body, SUB_PACKAGE) } else { None };
        (objects.name(name)?, package.and_then(|package| objects.package(package)))
    };
    let begins = place(instance, objects, start);
    let own_file = objects.field(body, SUB_FILE).filter(|file| *file != 0).and_then(|file| objects.path(file));
    let (first_file, first_line) = begins.unwrap_or_default();
    let file = own_file.unwrap_or(first_file);
    let name = if name == NO_NAME { format!("{name}[{file}:{first_line}]") } else { name };
    let name = package.map_or_else(|| name.clone(), |package| format!("{package}::{name}"));
    // It may have been replaced meanwhile.
    let again = objects.field(body, SUB_NAME)?;
    (checked(objects.field(address, 0)?, start, again) == check).then_some(PerlFunction { name, file, first_line })
}

/// The function that runs an operation.
pub(super) fn run_by(memory: &dyn ReadMemory, operation: u64) -> Option<u64> {
    memory.pointer(operation.wrapping_add(RUN_BY))
}

/// The file and the line of an operation that says them.
fn place(instance: &Instance, objects: Objects<'_>, operation: u64) -> Option<(String, u32)> {
    if run_by(objects.memory, operation)? != instance.places {
        return None;
    }
    let file = objects.field(operation, PLACE_FILE)?;
    Some((objects.path(file)?, (objects.field(operation, PLACE_LINE)? >> 32) as u32))
}

/// `perl_check` of the kernel's side.
fn checked(body: u64, start: u64, name: u64) -> u16 {
    check_of(body ^ start ^ name << 1)
}
