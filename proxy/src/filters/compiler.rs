//! Turning a component into machine code, aside from the process that serves.
//!
//! Compiling takes a second and some 60 MB for each megabyte of component, and the allocator does not give all of it
//! back. A child of the same binary does it and ends; what it writes is machine code for this very machine.
#![allow(unsafe_code, reason = "wasmtime takes machine code on trust; see the one block below")]

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wasmtime::component::Component;

use super::CompileError;
use super::builtins::embedded;

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
pub enum Source<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// The one that the binary holds under this name. A child reads its own copy, so that the pages of it stay out of
    /// the memory of the process that serves.
    Builtin(&'static str),
}

impl<'a> Source<'a> {
    fn bytes(self) -> Result<&'a [u8], CompileError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Builtin(name) => embedded(name).ok_or_else(|| CompileError::Refused(no_such(name))),
        }
    }
}

impl Compiler {
    /// Compiles a component. A child is waited for: not to be called on a thread that serves.
    pub(super) fn compile(&self, engine: &wasmtime::Engine, source: Source<'_>) -> Result<Component, CompileError> {
        match self {
            Self::Here => Component::from_binary(engine, source.bytes()?).map_err(CompileError::Component),
            Self::Child(binary) => {
                let compiled = tokio::runtime::Handle::current().block_on(ask(binary, source));
                let code = compiled.map_err(CompileError::Child)?.map_err(CompileError::Refused)?;
                // SAFETY: the bytes come through a pipe from a child that runs our own binary, which made them with
                // `Engine::precompile_component`; nobody else can write to that pipe.
                unsafe { Component::deserialize(engine, code) }.map_err(CompileError::Component)
            }
        }
    }
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
        Some(name) => embedded(name).ok_or_else(|| no_such(name))?,
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
        Source::Builtin(name) => (Some(name), &[]),
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

fn no_such(name: &str) -> String {
    format!("no built-in filter is called {name:?}")
}
