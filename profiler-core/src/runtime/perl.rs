//! Perl, 5.28 to 5.40, of builds with threads.
//!
//! A file of it is known by its symbols, and says its version. Where an interpreter has its contexts follows from the
//! version; before frames are walked, it must have them there, and its main package must be called so.

use std::ops::Range;

use crate::kernel::PerlProcess;
use crate::native::elf::{ElfFile, Machine};

use super::assumed::one_of;
use super::memory::ReadMemory;
use super::{AttachError, Unsupported, exports, thread_slot};
use layout::{Layout, Version};
use objects::Objects;

pub(super) use functions::PerlFunction;

mod functions;
mod layout;
mod objects;

/// What is known of a file; addresses are those of the file.
#[derive(Debug)]
pub(super) struct FileData {
    version: Version,
    layout: Layout,
    machine: Machine,
    /// The loop that runs operations.
    pub(super) loop_code: Range<u64>,
    /// `PL_curinterp`
    interpreter: u64,
    /// `PL_thr_key`
    key: u64,
}

/// What is known of a process.
#[derive(Debug)]
pub(super) struct Instance {
    layout: Layout,
    /// What runs operations that say a place in the source.
    places: u64,
}

impl FileData {
    /// None of a file that is nothing of Perl's.
    pub(super) fn recognise(file: &ElfFile, path: &str) -> Result<Option<Self>, Unsupported> {
        let names = ["Perl_runops_standard", "PL_version", "PL_curinterp", "PL_thr_key"];
        let [Some(function), version, interpreter, key] = exports::find(file, names) else { return Ok(None) };
        let version = version.and_then(|symbol| exports::bytes(file, symbol.address, 1));
        let Some(&[number]) = version.as_deref() else {
            return Err(Unsupported(format!("{path}: Perl of a version that cannot be told")));
        };
        let version = Version(number);
        let layout = Layout::of(version).ok_or_else(|| Unsupported(format!("{path}: Perl {version} is not known")))?;
        let (Some(interpreter), Some(key)) = (interpreter, key) else {
            return Err(Unsupported(format!("{path}: Perl {version} without threads is not known")));
        };
        if function.size == 0 {
            return Err(Unsupported(format!("{path}: the loop of Perl {version} is not known")));
        }
        Ok(Some(Self {
            version,
            layout,
            machine: file.machine(),
            loop_code: function.address..function.address.saturating_add(function.size),
            interpreter: interpreter.address,
            key: key.address,
        }))
    }

    pub(super) fn name(&self) -> String {
        format!("Perl {}", self.version)
    }

    /// Finds everything in a process, in which the file's addresses are moved by `bias`.
    pub(super) fn attach(
        &self,
        memory: &dyn ReadMemory,
        pid: u32,
        bias: u64,
    ) -> Result<(PerlProcess, Instance), AttachError> {
        let layout = self.layout;
        let main = self.interpreter.wrapping_add(bias);
        let interpreter = memory.pointer(main).ok_or(AttachError::NotYet("it has no interpreter"))?;
        let field = |offset: u16| memory.pointer(interpreter.wrapping_add(offset.into()));
        let stack = field(layout.contexts).and_then(|contexts| memory.pointer(contexts));
        if stack.is_none() || stack != field(layout.stack) {
            return Err(AttachError::NotYet("its interpreter has no contexts"));
        }
        // While it compiles it is at no operation, but at a mark that nothing runs.
        let places = field(layout.operation).and_then(|operation| functions::run_by(memory, operation));
        let places = places.ok_or(AttachError::NotYet("its interpreter runs no operations"))?;
        let objects = Objects { memory, layout: &layout };
        let package = field(layout.main_package).and_then(|package| objects.package(package));
        if package.as_deref() != Some("main") {
            return Err(AttachError::NotYet("its interpreter has no main package"));
        }
        let mut key = [0; 4];
        let key = memory.read(self.key.wrapping_add(bias), &mut key).then(|| u32::from_le_bytes(key));
        let slot = key.and_then(|key| thread_slot::of_key(self.machine, pid, key));
        let process =
            PerlProcess { main, slot, operation: layout.operation, stack: layout.stack, contexts: layout.contexts };
        Ok((process, Instance { layout, places }))
    }
}

impl Instance {
    /// See [`super::Assumption`]: what runs operations that say a place, and the interpreter.
    pub(super) fn assumed(version: u8, found: [u64; 3], memory: &dyn ReadMemory) -> Option<Self> {
        let version = Version(one_of(&[28, 30, 32, 34, 36, 38, 40], version)?);
        let layout = Layout::of(version)?;
        let [places, interpreter, _] = found;
        let field = |offset: u16| memory.pointer(interpreter.wrapping_add(offset.into()));
        let _places = field(layout.operation).and_then(|operation| functions::run_by(memory, operation));
        let objects = Objects { memory, layout: &layout };
        let _package = field(layout.main_package).and_then(|package| objects.package(package));
        Some(Self { layout, places })
    }

    /// What is known of a subroutine, or of the program itself, if it is the one of which `check` is.
    pub(super) fn function(&self, memory: &dyn ReadMemory, address: u64, check: u16) -> Option<PerlFunction> {
        functions::read(self, memory, address, check)
    }
}
