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

impl Compiler {
    /// Compiles a component. A child is waited for: not to be called on a thread that serves.
    pub(super) fn compile(&self, engine: &wasmtime::Engine, component: &[u8]) -> Result<Component, CompileError> {
        match self {
            Self::Here => Component::from_binary(engine, component).map_err(CompileError::Component),
            Self::Child(binary) => {
                let compiled = tokio::runtime::Handle::current().block_on(ask(binary, component));
                let code = compiled.map_err(CompileError::Child)?.map_err(CompileError::Refused)?;
                // SAFETY: the bytes come through a pipe from a child that runs our own binary, which made them with
                // `Engine::precompile_component`; nobody else can write to that pipe.
                unsafe { Component::deserialize(engine, code) }.map_err(CompileError::Component)
            }
        }
    }
}

/// What the child does: a component from standard input, machine code to standard output.
///
/// # Errors
/// With one the child says it on standard error and fails.
pub fn compile_stdin() -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let mut component = Vec::new();
    io::stdin().read_to_end(&mut component).map_err(text)?;
    let engine = wasmtime::Engine::new(&super::engine::config()).map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&code).map_err(text)
}

/// The outer error is the system's, the inner one the compiler's word.
async fn ask(binary: &PathBuf, component: &[u8]) -> io::Result<Result<Vec<u8>, String>> {
    let mut child = tokio::process::Command::new(binary)
        .arg(COMPILE_COMMAND)
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
