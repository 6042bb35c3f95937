//! A program whose work is known.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flamegate_tests::pprof::Profile;
use tempfile::TempDir;

use super::container::Container;

/// Runs until it is dropped.
pub(crate) struct Program {
    child: Child,
    path: PathBuf,
    _folder: TempDir,
}

impl Program {
    /// Compiles the program, optimised and without frame pointers, and starts it.
    pub(crate) fn start() -> Self {
        Self::start_as(|path| Command::new(path))
    }

    /// The same in a container.
    pub(crate) fn start_in(container: &Container) -> Self {
        Self::start_as(|path| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "echo $$ > \"$0\" && exec \"$1\""]).arg(container.processes()).arg(path);
            shell
        })
    }

    fn start_as(command: impl FnOnce(&Path) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("burn");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ebpf/burn.c");
        let flags = ["-O2", "-fomit-frame-pointer", "-o"];
        let compiled = Command::new("cc").args(flags).arg(&path).arg(source).status();
        assert!(compiled.unwrap().success(), "cc failed");
        let mut child = command(&path).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "burning\n");
        Self { child, path, _folder: folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time by now.
    pub(crate) fn cpu_time(&self) -> Duration {
        // The second field of a clock's text is nanoseconds on the CPU.
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", self.pid())).unwrap();
        Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
    }

    /// Nanoseconds of a profile by the innermost function of the program.
    pub(crate) fn by_function(&self, profile: &Profile) -> BTreeMap<String, i64> {
        let functions = self.functions();
        let mut sums = BTreeMap::new();
        for sample in &profile.sample {
            let leaf = &profile.location[sample.location_id[0] as usize - 1];
            let mapping = &profile.mapping[leaf.mapping_id as usize - 1];
            let file = Path::new(profile.string_table[mapping.filename as usize].as_str());
            let inside = |(_, (start, size)): &(&String, &(u64, u64))| (*start..start + size).contains(&leaf.address);
            let function = functions.iter().find(inside).filter(|_| file == self.path);
            let name = function.map_or("elsewhere", |(name, _)| name.as_str());
            *sums.entry(name.to_owned()).or_default() += sample.value[0];
        }
        sums
    }

    /// Where the program's functions are, as its symbol table says.
    fn functions(&self) -> BTreeMap<String, (u64, u64)> {
        let listed = Command::new("nm").args(["-S", "--defined-only"]).arg(&self.path).output().unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        let mut functions = BTreeMap::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [start, size, "T" | "t", name] = fields[..] {
                let number = |digits| u64::from_str_radix(digits, 16).unwrap();
                functions.insert(name.to_owned(), (number(start), number(size)));
            }
        }
        functions
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
