//! Runtimes: programs that run other programs, whose functions are no machine code of a file.
//!
//! A runtime is known by a file of it ([`FileData::recognise`], once a file), then looked for in each process that maps the
//! file ([`FileData::attach`]). What comes of it tells the kernel where the runtime has its frames, and names these
//! afterwards. All that is read of a process is bounded and checked: it belongs to strangers, and changes while it is read.
//!
//! One more runtime is a file in `bpf/` with a step and its programs, a kind of frame and a map in `kernel`, a folder
//! here, and a variant of the three enums below.

use std::ops::Range;
use std::sync::Arc;

use crate::kernel::{Frame, FrameKind, RuntimeProcess, Runtimes, Unwinder};
use crate::native::elf::ElfFile;
use memory::ReadMemory;

pub(crate) use reader::{Reader, Target};

mod exports;
mod memory;
mod python;
mod reader;

/// What is known of a runtime's file.
#[derive(Debug)]
pub(crate) enum FileData {
    Python(python::FileData),
}

/// What is known of a runtime in a process.
#[derive(Debug)]
enum Instance {
    Python(python::Instance),
}

/// A function of a runtime, as it was when it was read.
#[derive(Debug)]
enum Read {
    Python(python::CodeObject),
}

/// A runtime that is there and not known, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unsupported(String);

/// Why a runtime was not found in a process.
#[derive(Debug, thiserror::Error)]
enum AttachError {
    /// It may have to begin first.
    #[error("{0}")]
    NotYet(&'static str),
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

impl FileData {
    /// None of a file that is of no runtime, or of one that is not wanted.
    ///
    /// # Errors
    /// It is of a runtime whose frames cannot be walked.
    pub(crate) fn recognise(wanted: Runtimes, file: &ElfFile, path: &str) -> Result<Option<Arc<Self>>, Unsupported> {
        if wanted.python
            && let Some(data) = python::FileData::recognise(file, path)?
        {
            return Ok(Some(Arc::new(Self::Python(data))));
        }
        Ok(None)
    }

    /// Who walks the frames of the runtime, and where in the file the code is to which frames belong.
    pub(crate) fn code(&self) -> (Unwinder, &[Range<u64>]) {
        match self {
            Self::Python(data) => (Unwinder::PYTHON, &data.loop_code),
        }
    }

    /// As people call it, with its version.
    fn name(&self) -> String {
        match self {
            Self::Python(data) => data.name(),
        }
    }

    fn attach(&self, memory: &dyn ReadMemory, pid: u32, bias: u64) -> Result<(RuntimeProcess, Instance), AttachError> {
        match self {
            Self::Python(data) => {
                let (process, instance) = data.attach(memory, pid, bias)?;
                Ok((RuntimeProcess::Python(process), Instance::Python(instance)))
            }
        }
    }
}

impl Instance {
    /// The function that a frame stands for, if it is still there.
    fn read(&self, memory: &dyn ReadMemory, frame: FunctionKey) -> Option<Read> {
        match (self, frame.kind) {
            (Self::Python(instance), FrameKind::Python) => {
                instance.function(memory, frame.address, frame.check).map(Read::Python)
            }
            _ => None,
        }
    }
}

impl Read {
    fn function(&self, place: u32) -> crate::symbolizer::Function<'_> {
        match self {
            Self::Python(code) => crate::symbolizer::Function {
                name: &code.name,
                system_name: &code.name,
                file: &code.file,
                line: code.line(place),
                start_line: code.first_line,
            },
        }
    }

    /// In bytes.
    fn footprint(&self) -> usize {
        match self {
            Self::Python(code) => code.footprint(),
        }
    }
}

/// What a frame says of its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FunctionKey {
    kind: FrameKind,
    address: u64,
    check: u16,
}

impl FunctionKey {
    fn of(frame: &Frame) -> Self {
        Self { kind: frame.kind, address: frame.address, check: frame.check }
    }
}
