//! Turning a component into machine code, aside from the process that serves.
//!
//! Compiling takes a second and some 60 MB for each megabyte of component, and the allocator does not give all of it
//! back. A child of the same binary does it and ends; what it writes is machine code for this very machine.
#![allow(unsafe_code, reason = "wasmtime takes machine code on trust; see the one block below")]

use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wasmtime::component::Component;

use super::builtins::Builtin;
use super::code_store::{CodeStore, Found};
use super::{CompileError, Digest};

/// The argument that makes the binary a compiler.
pub const COMPILE_COMMAND: &str = "compile-filter";
/// The longest that compiling may take. The largest interpreters take 16 s.
const DEADLINE: Duration = Duration::from_secs(120);
/// Most bytes of machine code.
const MAX_CODE: u64 = 1 << 30;

/// Where components are compiled.
#[derive(Debug, Clone, Default)]
pub enum Compiler {
    /// In this process.
    #[default]
    Here,
    /// In a child: the binary at this path, called with [`COMPILE_COMMAND`].
    Child(PathBuf),
}

/// A component to be compiled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// One that the binary holds. A child reads its own copy, so that the pages of it stay out of the memory of the
    /// process that serves.
    Builtin(Builtin),
}

/// Where the machine code of a filter was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeOrigin {
    /// The same module runs already.
    Memory,
    /// The folder of compiled filters.
    Disk,
    /// The compiler.
    Compiled,
    /// The compiler, since what the folder holds is not from us.
    CompiledForTampered,
}

/// Machine code that we made ourselves.
#[derive(Debug)]
pub(super) struct OwnCode(Vec<u8>);

impl OwnCode {
    /// Code whose origin was proven: it was read from the store, and its MAC is right.
    pub(super) fn authenticated(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> Source<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Builtin(builtin) => builtin.component,
        }
    }
}

impl Compiler {
    /// The code of the component of this digest: from the store, or compiled. A child is waited for: not to be called
    /// on a thread that serves.
    pub(super) fn compile(
        &self,
        engine: &wasmtime::Engine,
        source: Source<'_>,
        digest: Digest,
        store: Option<&CodeStore>,
    ) -> Result<(Component, CodeOrigin), CompileError> {
        let Some(store) = store else {
            return Ok((load(engine, &self.code(engine, source)?)?, CodeOrigin::Compiled));
        };
        let name = format!("{}-{digest}", compatibility(engine));
        let origin = match store.load(&name) {
            // What cannot be loaded is compiled again: the code is ours, and something else is wrong with it.
            Found::Code(code) => match load(engine, &code) {
                Ok(component) => return Ok((component, CodeOrigin::Disk)),
                Err(_) => CodeOrigin::Compiled,
            },
            Found::Nothing => CodeOrigin::Compiled,
            Found::Foreign => CodeOrigin::CompiledForTampered,
        };
        let code = self.code(engine, source)?;
        let component = load(engine, &code)?;
        store.keep(&name, &code);
        Ok((component, origin))
    }

    fn code(&self, engine: &wasmtime::Engine, source: Source<'_>) -> Result<OwnCode, CompileError> {
        match self {
            Self::Here => engine.precompile_component(source.bytes()).map(OwnCode).map_err(CompileError::Component),
            Self::Child(binary) => {
                let compiled = tokio::runtime::Handle::current().block_on(ask(binary, source));
                compiled.map_err(CompileError::Child)?.map(OwnCode).map_err(CompileError::Refused)
            }
        }
    }
}

fn load(engine: &wasmtime::Engine, code: &OwnCode) -> Result<Component, CompileError> {
    // SAFETY: the bytes are machine code that our own binary made with `Engine::precompile_component`. They come from
    // this process; or through a pipe, to which nobody else can write, from a child that runs our own binary; or from
    // a file of `CodeStore`, which was read once into memory of this process, and hands out only what carries a MAC
    // under a key that nobody but our own user can read.
    unsafe { Component::deserialize(engine, code.bytes()) }.map_err(CompileError::Component)
}

/// What code depends on besides its component: wasmtime's version, the engine's settings, the processor.
fn compatibility(engine: &wasmtime::Engine) -> Digest {
    /// Gathers what is hashed, so that the digest of it is a strong one.
    #[derive(Default)]
    struct Gathered(Vec<u8>);

    impl Hasher for Gathered {
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut gathered = Gathered::default();
    engine.precompile_compatibility_hash().hash(&mut gathered);
    Digest::of(&gathered.0)
}

/// What the child does: a component from standard input, or the built-in one of this name, and its machine code to
/// standard output.
///
/// # Errors
/// With one the child says it on standard error and fails.
pub fn compile_to_stdout(builtin: Option<&str>) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let mut read = Vec::new();
    let component = match builtin {
        Some(name) => Builtin::find(name).ok_or_else(|| format!("no built-in filter is called {name:?}"))?.component,
        None => {
            io::stdin().read_to_end(&mut read).map_err(text)?;
            &read
        }
    };
    let engine = wasmtime::Engine::new(&super::engine::config()).map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(component).map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&code).map_err(text)
}

/// The outer error is the system's, the inner one the compiler's word.
async fn ask(binary: &PathBuf, source: Source<'_>) -> io::Result<Result<Vec<u8>, String>> {
    let (name, component): (Option<&str>, &[u8]) = match source {
        Source::Bytes(bytes) => (None, bytes),
        Source::Builtin(builtin) => (Some(builtin.name), &[]),
    };
    let mut child = tokio::process::Command::new(binary)
        .arg(COMPILE_COMMAND)
        .args(name)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pipe_missing = || io::Error::other("a pipe to the compiler is missing");
    let mut stdin = child.stdin.take().ok_or_else(pipe_missing)?;
    let stdout = child.stdout.take().ok_or_else(pipe_missing)?;
    let mut stderr = child.stderr.take().ok_or_else(pipe_missing)?.take(64 * 1024);
    let (mut code, mut said) = (Vec::new(), Vec::new());
    let compiling = async {
        let handing_over = async {
            let written = stdin.write_all(component).await;
            drop(stdin);
            // A child that has failed no longer reads; what it said counts more than the broken pipe.
            written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
        };
        let mut stdout = stdout.take(MAX_CODE);
        tokio::try_join!(handing_over, stdout.read_to_end(&mut code), stderr.read_to_end(&mut said))?;
        child.wait().await
    };
    let status = tokio::time::timeout(DEADLINE, compiling).await.map_err(|_| io::ErrorKind::TimedOut)??;
    if status.success() {
        return Ok(Ok(code));
    }
    Ok(Err(format!("{} ({status})", String::from_utf8_lossy(&said).trim_end())))
}
