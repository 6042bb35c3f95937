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
use crate::symbolizer::Function;

pub use assumed::Assumption;
pub use memory::{ProcessMemory, ReadMemory};
pub(crate) use reader::{Reader, Target};

mod assumed;
mod check;
mod dotnet;
mod eval_loop;
mod exports;
mod go;
mod hotspot;
mod memory;
mod perl;
mod php;
mod python;
mod reader;
mod ruby;
mod thread_slot;
mod v8;

/// What is known of a runtime's file.
#[derive(Debug)]
pub struct FileData(OfFile);

#[derive(Debug)]
enum OfFile {
    Python(python::FileData),
    HotSpot(Box<hotspot::FileData>),
    V8(v8::FileData),
    Ruby(ruby::FileData),
    Perl(perl::FileData),
    Php(php::FileData),
    Go(go::FileData),
    DotNet(dotnet::FileData),
}

/// What is known of a runtime in a process.
#[derive(Debug)]
pub struct Instance(OfProcess);

#[derive(Debug)]
enum OfProcess {
    Python(python::Instance),
    HotSpot(Box<hotspot::Instance>),
    V8(v8::Instance),
    Ruby(ruby::Instance),
    Perl(perl::Instance),
    Php(php::Instance),
    /// No frames of its own.
    Go,
    DotNet(dotnet::Instance),
}

/// Memory with machine code that a runtime has made in a process: its unwinder walks up from there, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeCode {
    /// It makes none, or what it makes needs no unwinder.
    Nowhere,
    /// All that is executable and of no file.
    OfNoFile,
    /// All that is executable and of memory that processes share, and of no file either.
    Shared,
    /// In these ranges of addresses, and nowhere else.
    Within(Vec<Range<u64>>),
}

/// A function of a runtime, as it was when it was read.
#[derive(Debug)]
enum Read {
    Python(python::CodeObject),
    HotSpot(hotspot::Code),
    V8(v8::Read),
    Ruby(ruby::RubyFunction),
    Perl(perl::PerlFunction),
    Php(php::PhpFunction),
    DotNet(dotnet::Method),
}

/// A runtime that is there and not known, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(String);

/// Why a runtime was not found in a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// It may have to begin first: what is not there yet.
    #[error("{0}")]
    NotYet(&'static str),
    /// It is not known.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

impl FileData {
    /// None of a file that is of no runtime, or of one that is not wanted.
    ///
    /// # Errors
    /// It is of a runtime whose frames cannot be walked.
    pub fn recognise(wanted: Runtimes, file: &ElfFile, path: &str) -> Result<Option<Arc<Self>>, Unsupported> {
        if wanted.python
            && let Some(data) = python::FileData::recognise(file, path)?
        {
            return Ok(Some(Arc::new(Self(OfFile::Python(data)))));
        }
        if wanted.hotspot
            && let Some(data) = hotspot::FileData::recognise(file, path)?
        {
            return Ok(Some(Arc::new(Self(OfFile::HotSpot(Box::new(data))))));
        }
        if wanted.v8
            && let Some(data) = v8::FileData::recognise(file, path)?
        {
            return Ok(Some(Arc::new(Self(OfFile::V8(data)))));
        }
        if wanted.ruby
            && let Some(data) = ruby::FileData::recognise(file, path)?
        {
            return Ok(Some(Arc::new(Self(OfFile::Ruby(data)))));
        }
        if wanted.perl
            && let Some(data) = perl::FileData::recognise(file, path)?
        {
            return Ok(Some(Arc::new(Self(OfFile::Perl(data)))));
        }
        if wanted.php
            && let Some(data) = php::FileData::recognise(file, path)?
        {
            return Ok(Some(Arc::new(Self(OfFile::Php(data)))));
        }
        if wanted.go
            && let Some(data) = go::FileData::recognise(file, path)?
        {
            return Ok(Some(Arc::new(Self(OfFile::Go(data)))));
        }
        if wanted.dotnet
            && let Some(data) = dotnet::FileData::recognise(file, path)?
        {
            return Ok(Some(Arc::new(Self(OfFile::DotNet(data)))));
        }
        Ok(None)
    }

    /// Who walks the frames of the runtime, and where in the file the code is to which frames belong.
    #[must_use]
    pub fn code(&self) -> (Unwinder, &[Range<u64>]) {
        match &self.0 {
            OfFile::Python(data) => (Unwinder::PYTHON, &data.loop_code),
            OfFile::HotSpot(_) => (Unwinder::HOTSPOT, &[]),
            OfFile::V8(data) => (Unwinder::V8, data.builtins()),
            OfFile::Ruby(data) => (Unwinder::RUBY, &data.loop_code),
            OfFile::Perl(data) => (Unwinder::PERL, std::slice::from_ref(&data.loop_code)),
            OfFile::Php(data) => (Unwinder::PHP, &data.loop_code),
            OfFile::Go(_) => (Unwinder::NATIVE, &[]),
            OfFile::DotNet(_) => (Unwinder::DOTNET, &[]),
        }
    }

    /// As people call the runtime, with its version.
    fn name(&self) -> String {
        match &self.0 {
            OfFile::Python(data) => data.name(),
            OfFile::HotSpot(_) => "HotSpot".to_owned(),
            OfFile::V8(data) => data.name(),
            OfFile::Ruby(data) => data.name(),
            OfFile::Perl(data) => data.name(),
            OfFile::Php(data) => data.name(),
            OfFile::Go(data) => data.name(),
            OfFile::DotNet(data) => data.name(),
        }
    }

    /// Looks for the runtime in a process. `bias` is what addresses in its memory are more than those in the file.
    ///
    /// # Errors
    /// It has not begun, or is not what it should be.
    pub fn attach(
        &self,
        memory: &dyn ReadMemory,
        pid: u32,
        bias: u64,
    ) -> Result<(RuntimeProcess, Instance), AttachError> {
        match &self.0 {
            OfFile::Python(data) => {
                let (process, instance) = data.attach(memory, pid, bias)?;
                Ok((RuntimeProcess::Python(process), Instance(OfProcess::Python(instance))))
            }
            OfFile::HotSpot(data) => {
                let (process, instance) = data.attach(memory, bias)?;
                Ok((RuntimeProcess::HotSpot(process), Instance(OfProcess::HotSpot(Box::new(instance)))))
            }
            OfFile::V8(data) => {
                let (process, instance) = data.attach(memory, pid)?;
                Ok((RuntimeProcess::V8(process), Instance(OfProcess::V8(instance))))
            }
            OfFile::Ruby(data) => {
                let (process, instance) = data.attach(memory, pid, bias)?;
                Ok((RuntimeProcess::Ruby(process), Instance(OfProcess::Ruby(instance))))
            }
            OfFile::Perl(data) => {
                let (process, instance) = data.attach(memory, pid, bias)?;
                Ok((RuntimeProcess::Perl(process), Instance(OfProcess::Perl(instance))))
            }
            OfFile::Php(data) => {
                let (process, instance) = data.attach(memory, bias)?;
                Ok((RuntimeProcess::Php(process), Instance(OfProcess::Php(instance))))
            }
            OfFile::Go(data) => Ok((RuntimeProcess::Go(data.attach(memory, bias)?), Instance(OfProcess::Go))),
            OfFile::DotNet(data) => {
                let (process, instance) = data.attach(memory, bias)?;
                Ok((RuntimeProcess::DotNet(process), Instance(OfProcess::DotNet(instance))))
            }
        }
    }
}

impl Instance {
    /// Where the runtime puts code that it makes.
    #[must_use]
    pub fn made_code(&self) -> MadeCode {
        match &self.0 {
            OfProcess::Python(_) | OfProcess::Perl(_) | OfProcess::Go => MadeCode::Nowhere,
            OfProcess::HotSpot(instance) => MadeCode::Within(instance.code()),
            OfProcess::V8(_) | OfProcess::Ruby(_) | OfProcess::DotNet(_) => MadeCode::OfNoFile,
            OfProcess::Php(_) => MadeCode::Shared,
        }
    }

    /// The functions that a frame stands for, if they are still there: the innermost first, where one was inlined into
    /// the other.
    pub fn functions(&self, memory: &dyn ReadMemory, frame: &Frame, each: &mut dyn FnMut(Function<'_>)) {
        if let Some(read) = self.read(memory, FunctionKey::of(frame)) {
            read.functions(frame.place, each);
        }
    }

    fn read(&self, memory: &dyn ReadMemory, function: FunctionKey) -> Option<Read> {
        match (&self.0, function.kind) {
            (OfProcess::Python(instance), FrameKind::Python) => {
                instance.function(memory, function.address, function.check).map(Read::Python)
            }
            (OfProcess::Ruby(instance), FrameKind::Ruby) => {
                let check = u32::from(function.check) | function.place;
                instance.function(memory, function.address, check).map(Read::Ruby)
            }
            (OfProcess::Perl(instance), FrameKind::Perl) => {
                instance.function(memory, function.address, function.check).map(Read::Perl)
            }
            (OfProcess::Php(instance), FrameKind::Php) => {
                instance.function(memory, function.address, function.check).map(Read::Php)
            }
            (OfProcess::HotSpot(instance), FrameKind::HotSpot) => {
                instance.code_at(memory, function.address, function.check).map(Read::HotSpot)
            }
            (OfProcess::V8(instance), FrameKind::V8) => {
                instance.read(memory, function.address, function.place, function.check).map(Read::V8)
            }
            (OfProcess::DotNet(instance), FrameKind::DotNet) => {
                instance.method(memory, function.address, function.check).map(Read::DotNet)
            }
            _ => None,
        }
    }
}

impl Read {
    fn functions(&self, place: u32, each: &mut dyn FnMut(Function<'_>)) {
        match self {
            Self::Python(code) => each(Function {
                name: &code.name,
                system_name: &code.name,
                file: &code.file,
                line: code.line(place),
                start_line: code.first_line,
            }),
            Self::HotSpot(code) => code.functions(place, each),
            Self::V8(read) => read.functions(place, each),
            Self::Ruby(function) => each(Function {
                name: &function.name,
                system_name: &function.name,
                file: &function.file,
                line: function.line(place),
                start_line: function.first_line,
            }),
            Self::Perl(sub) => each(Function {
                name: &sub.name,
                system_name: &sub.name,
                file: &sub.file,
                line: sub.line(place),
                start_line: sub.first_line,
            }),
            Self::Php(function) => each(function.at(place)),
            Self::DotNet(method) => each(Function {
                name: &method.name,
                system_name: &method.name,
                file: &method.file,
                line: 0,
                start_line: 0,
            }),
        }
    }

    /// In bytes.
    fn footprint(&self) -> usize {
        match self {
            Self::Python(code) => code.footprint(),
            Self::HotSpot(code) => code.footprint(),
            Self::V8(read) => read.footprint(),
            Self::Ruby(function) => function.footprint(),
            Self::Perl(sub) => sub.footprint(),
            Self::Php(function) => function.footprint(),
            Self::DotNet(method) => method.footprint(),
        }
    }
}

/// What a frame says of its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FunctionKey {
    kind: FrameKind,
    address: u64,
    /// Where it is a part of what stands for the function; else 0.
    place: u32,
    check: u16,
}

impl FunctionKey {
    fn of(frame: &Frame) -> Self {
        let place = match frame.kind {
            FrameKind::V8 if v8::is_compiled(frame.address) => frame.place,
            FrameKind::Ruby => ruby::check_in_place(frame.place),
            _ => 0,
        };
        Self { kind: frame.kind, address: frame.address, place, check: frame.check }
    }
}
