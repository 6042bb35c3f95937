//! A program of each runtime: two threads that work in functions of their own, by the names that the tests know.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use profiler_core::kernel::FrameKind;
use profiler_core::sampler::{Sampler, Trace};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Program {
    /// Without a runtime: what its stacks cost comes before all others.
    C,
    Python,
    Hotspot,
    V8,
    Ruby,
    Perl,
    /// Machine code, with labels.
    Go,
}

/// Where the programs of the tests are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiler-core/tests");
/// The part that all names of the first work have in common.
const WORK: &str = "alpha";

impl Program {
    pub(super) const ALL: [Self; 7] =
        [Self::C, Self::Python, Self::Hotspot, Self::V8, Self::Ruby, Self::Perl, Self::Go];

    /// Compiles what has to be compiled, into `folder`.
    pub(super) fn build(self, folder: &Path) -> anyhow::Result<Built> {
        let source = |name: &str| Path::new(SOURCES).join(name);
        let compiled = |compiler: &str, flags: &[&str], name: &str| -> anyhow::Result<PathBuf> {
            let output = folder.join(self.to_string());
            run(Command::new(compiler).args(flags).arg("-o").arg(&output).arg(source(name)))?;
            Ok(output)
        };
        let (program, arguments): (PathBuf, Vec<PathBuf>) = match self {
            Self::C => (compiled("cc", &["-O2", "-fomit-frame-pointer", "-pthread"], "truth/truth.c")?, Vec::new()),
            Self::Go => (compiled("go", &["build"], "go/truth.go")?, Vec::new()),
            Self::Hotspot => {
                run(Command::new("javac")
                    .args(["--release", "11", "-d"])
                    .arg(folder)
                    .arg(source("hotspot/Truth.java")))?;
                ("java".into(), ["-Xmx64m".into(), "-cp".into(), folder.to_owned(), "Truth".into()].into())
            }
            Self::Python => ("python3".into(), vec![source("python/truth.py")]),
            Self::V8 => ("node".into(), vec![source("node/truth.js")]),
            Self::Ruby => ("ruby".into(), vec![source("ruby/truth.rb")]),
            Self::Perl => ("perl".into(), vec![source("perl/truth.pl")]),
        };
        Ok(Built { of: self, program, arguments })
    }

    /// Of the frames that have names; none where there is machine code alone.
    fn kind(self) -> Option<FrameKind> {
        match self {
            Self::C | Self::Go => None,
            Self::Python => Some(FrameKind::Python),
            Self::Hotspot => Some(FrameKind::HotSpot),
            Self::V8 => Some(FrameKind::V8),
            Self::Ruby => Some(FrameKind::Ruby),
            Self::Perl => Some(FrameKind::Perl),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::C => "c",
            Self::Python => "python",
            Self::Hotspot => "hotspot",
            Self::V8 => "v8",
            Self::Ruby => "ruby",
            Self::Perl => "perl",
            Self::Go => "go",
        })
    }
}

/// A program that can be started.
pub(super) struct Built {
    of: Program,
    program: PathBuf,
    arguments: Vec<PathBuf>,
}

impl Built {
    pub(super) fn start(&self) -> anyhow::Result<Running> {
        let mut command = Command::new(&self.program);
        // They work until their input ends.
        let child = command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let child = child.with_context(|| format!("running {}", self.program.display()))?;
        Ok(Running { of: self.of, child })
    }
}

/// One that runs until it is dropped.
pub(super) struct Running {
    of: Program,
    child: Child,
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether a stack names the work; of machine code, whose names no one waits for, whether it has what else is told:
    /// frames, and Go's labels.
    pub(super) fn names(&self, sampler: &Sampler, trace: &Trace) -> bool {
        let Some(kind) = self.of.kind() else {
            return !trace.user.is_empty() && (self.of != Program::Go || !trace.labels.is_empty());
        };
        trace.user.iter().filter(|frame| frame.kind == kind).any(|frame| {
            let mut is_work = false;
            sampler.functions(trace.pid, frame, &mut |function| is_work |= function.name.contains(WORK));
            is_work
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be over.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("running {name}"))?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}
