//! Programs of .NET: compiled by mono's compiler, and put in the place of those with which runtimes came.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A program beside its runtime, or in one file with it.
pub(crate) struct Installed {
    _folder: TempDir,
    program: PathBuf,
}

/// As the program is called that came with the runtimes, and its assembly.
const PROGRAM: &str = "azmcp";
const ASSEMBLY: &str = "azmcp.dll";

impl Installed {
    /// On .NET 9, whose files lie beside the program.
    pub(crate) fn on_9(source: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tools().join("dotnet-9/package/dist");
        let entries = fs::read_dir(&runtime);
        for entry in entries.unwrap_or_else(|error| panic!("this test needs {}: {error}", runtime.display())) {
            let entry = entry.unwrap();
            if entry.file_name() != PROGRAM && entry.file_name() != ASSEMBLY {
                symlink(entry.path().canonicalize().unwrap(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        let program = folder.path().join(PROGRAM);
        fs::copy(runtime.join(PROGRAM), &program).unwrap();
        compile(source, &folder.path().join(ASSEMBLY));
        Self { _folder: folder, program }
    }

    /// On .NET 10, in one file with it. Its assemblies are trimmed, and have no code that was compiled ahead.
    pub(crate) fn in_one_file_on_10(source: &str) -> Self {
        // In memory there may be no room.
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let assembly = folder.path().join(ASSEMBLY);
        compile(source, &assembly);
        let assembly = of_core_library(fs::read(&assembly).unwrap());
        let whole = tools().join("dotnet-10/package/dist").join(PROGRAM);
        let mut bytes = fs::read(&whole).unwrap_or_else(|error| panic!("this test needs {}: {error}", whole.display()));
        // What is said of each file that is inside: { u64 place, size, compressed; u8 kind; u8 length; char name[] }.
        let entry = [&[1, ASSEMBLY.len() as u8], ASSEMBLY.as_bytes()].concat();
        let entry = find(&bytes, &entry).unwrap() - 24;
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let (place, size) = (number(entry), number(entry + 8));
        assert!(assembly.len() <= size);
        bytes[place..place + assembly.len()].copy_from_slice(&assembly);
        let program = folder.path().join(PROGRAM);
        fs::write(&program, bytes).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { _folder: folder, program }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // No threads and files of its own.
        command.env("DOTNET_EnableDiagnostics", "0").env("DOTNET_CLI_TELEMETRY_OPTOUT", "1");
        command
    }
}

fn compile(source: &str, assembly: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiler-core/tests/dotnet").join(source);
    let mut compiler = Command::new("mcs");
    compiler.args(["-optimize+", "-debug-", "-nowarn:414"]).arg(format!("-out:{}", assembly.display())).arg(source);
    let output = compiler.output().unwrap_or_else(|error| panic!("this test needs mcs: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The same with the types of `System.Private.CoreLib` instead of those of mono's `mscorlib`, for which a runtime that was
/// trimmed has no substitute. The name is there as that of a namespace.
fn of_core_library(mut assembly: Vec<u8>) -> Vec<u8> {
    const MONO: [u8; 8] = [0xb7, 0x7a, 0x5c, 0x56, 0x19, 0x34, 0xe0, 0x89];
    const CORE: [u8; 8] = [0x7c, 0xec, 0x85, 0xd7, 0xbe, 0xa7, 0x79, 0x8e];
    let metadata = find(&assembly, b"BSJB").unwrap();
    let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    // { u32 place; u32 size; char name[] }
    let header = metadata + find(&assembly[metadata..], b"#Strings\0").unwrap() - 8;
    let strings = metadata + number(&assembly, header);
    let strings = assembly[strings..strings + number(&assembly, header + 4)].to_vec();
    let place = |name: &[u8]| ((find(&strings, name).unwrap() + 1) as u16).to_le_bytes();
    let (old, new) = (place(b"\0mscorlib\0"), place(b"\0System.Private.CoreLib\0"));
    // { u16 version[4]; u32 flags; u16 key, name, culture, digest }
    let version = [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let row = (metadata..assembly.len() - 20)
        .find(|at| assembly[*at..].starts_with(&version) && assembly[at + 14..at + 16] == old)
        .unwrap();
    assembly[row..row + 2].copy_from_slice(&[10, 0]);
    assembly[row + 14..row + 16].copy_from_slice(&new);
    let key = find(&assembly, &MONO).unwrap();
    assembly[key..key + CORE.len()].copy_from_slice(&CORE);
    assembly
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools")
}
