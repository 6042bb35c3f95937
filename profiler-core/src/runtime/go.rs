//! Go, 1.13 to 1.27: the labels that a program gives its goroutines. Their frames need no unwinder.
//!
//! Only programs that set labels have the function that does. Where a thread has its goroutine, and this its labels, is in
//! the machine code of two of Go's own functions, of which no version and no linker leaves out anything. That a goroutine
//! was found is checked by the kernel at each sample: it names the thread that names it.

use crate::kernel::GoProcess;
use crate::native::elf::ElfFile;
use crate::native::goroutine::{self, Goroutine, StackSwitch};
use crate::native::symbols::find_go_functions;

use super::memory::ReadMemory;
use super::{AttachError, Unsupported, exports};
use version::Version;

mod version;

/// What is known of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileData {
    version: Version,
    switch: StackSwitch,
    /// In a goroutine: its labels.
    labels: u16,
}

/// Longest function that is read, in bytes.
const LONGEST: u64 = 1024;

impl FileData {
    /// None of a file that is no Go program, or of one without labels.
    pub(super) fn recognise(file: &ElfFile, path: &str) -> Result<Option<Self>, Unsupported> {
        let names = ["runtime.systemstack", "runtime/pprof.runtime_setProfLabel"];
        let Some([switch, Some(set)]) = find_go_functions(file, names) else { return Ok(None) };
        let unknown = |what: &str| Unsupported(format!("{path}: {what}: its labels are left out"));
        let version = Version::of(file).ok_or_else(|| unknown("Go of a version that is not known"))?;
        let code = |range: std::ops::Range<u64>| {
            let length = (range.end - range.start).min(LONGEST);
            Some((range.start, file.code(range.start, length).ok()?))
        };
        let switch = switch.and_then(code).and_then(|(at, code)| StackSwitch::read(file.machine(), at, &code));
        let labels = code(set).and_then(|(at, code)| goroutine::labels(file.machine(), at, &code));
        match (switch, labels) {
            (Some(switch), Some(labels)) => Ok(Some(Self { version, switch, labels })),
            _ => Err(unknown(&format!("the goroutines of Go {version} are not found"))),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("Go {}", self.version)
    }

    /// Finds out what the file leaves open.
    pub(super) fn attach(&self, memory: &dyn ReadMemory, bias: u64) -> Result<GoProcess, AttachError> {
        let thread = match self.switch.goroutine {
            Goroutine::Register => None,
            Goroutine::At(offset) => Some(offset),
            Goroutine::Slot(address) => {
                let offset = memory.word(address.wrapping_add(bias)).unwrap_or(0).cast_signed();
                let offset = i32::try_from(offset).ok().filter(|offset| *offset != 0);
                Some(offset.ok_or(AttachError::NotYet("its threads have no place for goroutines"))?)
            }
        };
        let StackSwitch { machine, current, .. } = self.switch;
        Ok(GoProcess { thread, machine, current, labels: self.labels, is_map: self.version.labels_are_a_map() })
    }
}
