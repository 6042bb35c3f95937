//! Programs that are compiled for a test, and what binutils say of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use profiler_core::native::elf::ElfFile;
use profiler_core::native::symbols::{Location, Sources, SymbolFile, SymbolTable};
use tempfile::TempDir;

/// A program in a folder that goes with it.
pub(crate) struct Program {
    folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Program {
    /// Compiles one of the tests' programs; `{}` among the arguments is where it goes, `{source}` what it is made of.
    pub(crate) fn compile(command: &[&str], source: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("program");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(source);
        let [path_text, source] = [&path, &source].map(|path| path.to_str().expect("a path").to_owned());
        let command: Vec<&str> = command
            .iter()
            .map(|argument| match *argument {
                "{}" => path_text.as_str(),
                "{source}" => source.as_str(),
                argument => argument,
            })
            .collect();
        run(folder.path(), &command);
        Self { folder, path }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command in the folder.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        run(self.folder.path(), command)
    }

    pub(crate) fn elf(&self, name: &str) -> ElfFile {
        ElfFile::open(File::open(self.folder.path().join(name)).expect("a file")).expect("an ELF file")
    }
}

pub(crate) fn run(folder: &Path, command: &[&str]) -> String {
    let (program, arguments) = command.split_first().expect("a command");
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text")
}

/// A table, written and opened again.
pub(crate) struct Table {
    file: SymbolFile<Vec<u8>>,
}

impl Table {
    pub(crate) fn of(file: &ElfFile, debug: Option<&ElfFile>, lines: bool) -> Self {
        let table = SymbolTable::build(file, &Sources { debug, lines }).expect("a table");
        assert!(!table.stats.cut);
        let mut bytes = Vec::new();
        table.write(file.id(), &mut bytes).expect("memory");
        Self { file: SymbolFile::open(bytes, file.id()).expect("what was written") }
    }

    pub(crate) fn at(&self, address: u64) -> Vec<Location> {
        let mut found = Vec::new();
        self.file.lookup(address, &mut found).expect("an answer");
        found
    }

    /// The function that is not inlined.
    pub(crate) fn name(&self, address: u64) -> Option<String> {
        self.at(address).pop().map(|location| location.name.into())
    }
}

/// What `nm` says of code: by address all names, and the size.
pub(crate) fn functions(path: &Path, options: &[&str]) -> BTreeMap<u64, (u64, Vec<String>)> {
    let text = path.to_str().expect("a path");
    let listed = run(Path::new("/"), &[&["nm", "-S", "--defined-only"], options, &[text]].concat());
    let mut found: BTreeMap<u64, (u64, Vec<String>)> = BTreeMap::new();
    for line in listed.lines() {
        let fields: Vec<&str> = line.splitn(4, ' ').collect();
        let [address, size, kind, name] = fields[..] else { continue };
        let Ok(address) = u64::from_str_radix(address, 16) else { continue };
        if !"tTwWi".contains(kind) {
            continue;
        }
        let size = u64::from_str_radix(size, 16).expect("a size");
        let entry = found.entry(address).or_default();
        entry.0 = entry.0.max(size);
        // A version stands behind the names that other files use; Go says which functions pass arguments as before.
        let name = name.split('@').next().unwrap_or_default();
        entry.1.push(plain(name));
    }
    found
}

/// Go's linker writes some names for C in another way.
pub(crate) fn plain(name: &str) -> String {
    name.strip_suffix(".abi0").unwrap_or(name).replace('\u{b7}', ".")
}

/// What `addr2line` says: of each address the functions, from the innermost out, each with file and line.
pub(crate) fn sources(path: &Path, addresses: &[u64]) -> Vec<Vec<(String, String, u32)>> {
    let mut asked = String::new();
    for address in addresses {
        writeln!(asked, "{address:#x}").expect("memory");
    }
    let mut child = Command::new("addr2line")
        .args(["-a", "-f", "-i", "-e"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("addr2line");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(asked.as_bytes()));
    let output = child.wait_with_output().expect("its answer");
    writer.join().expect("no panic").expect("all is written");
    let text = String::from_utf8(output.stdout).expect("a text");
    let mut found: Vec<Vec<(String, String, u32)>> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            found.push(Vec::new());
            continue;
        }
        let place = lines.next().expect("a place");
        let place = place.split(" (discriminator").next().unwrap_or_default();
        let (file, number) = place.rsplit_once(':').expect("a line");
        let frames = found.last_mut().expect("an address");
        frames.push((line.to_owned(), file.to_owned(), number.parse().unwrap_or_default()));
    }
    assert_eq!(found.len(), addresses.len());
    found
}
