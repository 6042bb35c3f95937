//! What the kernel knows of runtimes: which programs walk their frames, and where these are in each process.

use std::collections::HashSet;

use aya::Ebpf;
use aya::maps::{HashMap, MapData};

use super::{FillError, LoadError, Unwinder, take};
pub use dotnet::DotNetProcess;
pub use go::GoProcess;
pub use hotspot::{CodeHeap, HotSpotField, HotSpotProcess};
pub use perl::PerlProcess;
pub use php::{LoopFrame, PhpProcess};
pub use python::{EntryEnd, InFrame, PythonProcess, ThreadSlot};
pub use ruby::RubyProcess;
pub use v8::V8Process;

mod dotnet;
mod go;
mod hotspot;
mod perl;
mod php;
mod python;
mod ruby;
mod v8;

/// Runtimes, by whether their frames are walked. Of one that is not, no program is loaded, and its maps are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtimes {
    /// CPython.
    pub python: bool,
    /// HotSpot, of Java.
    pub hotspot: bool,
    /// V8, as in Node.js.
    pub v8: bool,
    /// Ruby.
    pub ruby: bool,
    /// Perl.
    pub perl: bool,
    /// PHP.
    pub php: bool,
    /// Go: the labels of goroutines. Its frames are walked in any case, as all machine code.
    pub go: bool,
    /// CoreCLR, of .NET.
    pub dotnet: bool,
}

impl Runtimes {
    /// All that are known.
    pub const ALL: Self =
        Self { python: true, hotspot: true, v8: true, ruby: true, perl: true, php: true, go: true, dotnet: true };
    /// Machine code alone.
    pub const NONE: Self = Self {
        python: false,
        hotspot: false,
        v8: false,
        ruby: false,
        perl: false,
        php: false,
        go: false,
        dotnet: false,
    };
}

/// Where a runtime has its frames in a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeProcess {
    /// CPython.
    Python(PythonProcess),
    /// HotSpot.
    HotSpot(HotSpotProcess),
    /// V8.
    V8(V8Process),
    /// Ruby.
    Ruby(RubyProcess),
    /// Perl.
    Perl(PerlProcess),
    /// PHP.
    Php(PhpProcess),
    /// Go.
    Go(GoProcess),
    /// CoreCLR.
    DotNet(DotNetProcess),
}

impl RuntimeProcess {
    /// As the kernel has it.
    #[must_use]
    pub fn words(&self) -> Vec<u64> {
        match self {
            Self::Python(process) => process.words().to_vec(),
            Self::HotSpot(process) => process.words().to_vec(),
            Self::V8(process) => process.words().to_vec(),
            Self::Ruby(process) => process.words().to_vec(),
            Self::Perl(process) => process.words().to_vec(),
            Self::Php(process) => process.words().to_vec(),
            Self::Go(process) => process.words().to_vec(),
            Self::DotNet(process) => process.words().to_vec(),
        }
    }
}

/// The programs of an unwinder, one for each origin of samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walker {
    pub(super) unwinder: Unwinder,
    pub(super) of_cpus: &'static str,
    pub(super) off_cpu: &'static str,
    pub(super) of_probes: &'static str,
}

const NATIVE: Walker =
    Walker { unwinder: Unwinder::NATIVE, of_cpus: "native", off_cpu: "native_off_cpu", of_probes: "native_probe" };
const PYTHON: Walker =
    Walker { unwinder: Unwinder::PYTHON, of_cpus: "python", off_cpu: "python_off_cpu", of_probes: "python_probe" };
const HOTSPOT: Walker =
    Walker { unwinder: Unwinder::HOTSPOT, of_cpus: "hotspot", off_cpu: "hotspot_off_cpu", of_probes: "hotspot_probe" };
const V8: Walker = Walker { unwinder: Unwinder::V8, of_cpus: "v8", off_cpu: "v8_off_cpu", of_probes: "v8_probe" };
const RUBY: Walker =
    Walker { unwinder: Unwinder::RUBY, of_cpus: "ruby", off_cpu: "ruby_off_cpu", of_probes: "ruby_probe" };
const PERL: Walker =
    Walker { unwinder: Unwinder::PERL, of_cpus: "perl", off_cpu: "perl_off_cpu", of_probes: "perl_probe" };
const PHP: Walker = Walker { unwinder: Unwinder::PHP, of_cpus: "php", off_cpu: "php_off_cpu", of_probes: "php_probe" };
const DOTNET: Walker =
    Walker { unwinder: Unwinder::DOTNET, of_cpus: "dotnet", off_cpu: "dotnet_off_cpu", of_probes: "dotnet_probe" };

/// That of machine code, and those of the runtimes that are wanted.
pub(super) fn walkers(runtimes: Runtimes) -> Vec<Walker> {
    let mut walkers = vec![NATIVE];
    walkers.extend(runtimes.python.then_some(PYTHON));
    walkers.extend(runtimes.hotspot.then_some(HOTSPOT));
    walkers.extend(runtimes.v8.then_some(V8));
    walkers.extend(runtimes.ruby.then_some(RUBY));
    walkers.extend(runtimes.perl.then_some(PERL));
    walkers.extend(runtimes.php.then_some(PHP));
    walkers.extend(runtimes.dotnet.then_some(DOTNET));
    walkers
}

/// Processes of one runtime: some 100 bytes each.
const MAX_PROCESSES: u32 = 4096;

/// The maps of runtimes, and how many entries they have.
pub(super) fn maps(runtimes: Runtimes) -> impl Iterator<Item = (&'static str, u32)> {
    let maps = [
        (runtimes.python, python::PROCESSES),
        (runtimes.hotspot, hotspot::PROCESSES),
        (runtimes.v8, v8::PROCESSES),
        (runtimes.ruby, ruby::PROCESSES),
        (runtimes.perl, perl::PROCESSES),
        (runtimes.php, php::PROCESSES),
        (runtimes.go, go::PROCESSES),
        (runtimes.dotnet, dotnet::PROCESSES),
    ];
    maps.into_iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, name)| (name, MAX_PROCESSES))
}

/// By runtime: its processes.
pub(super) struct RuntimeMaps {
    python: ProcessMap<{ python::WORDS }>,
    hotspot: ProcessMap<{ hotspot::WORDS }>,
    v8: ProcessMap<{ v8::WORDS }>,
    ruby: ProcessMap<{ ruby::WORDS }>,
    perl: ProcessMap<{ perl::WORDS }>,
    php: ProcessMap<{ php::WORDS }>,
    go: ProcessMap<{ go::WORDS }>,
    with_labels: HashSet<u32>,
    dotnet: ProcessMap<{ dotnet::WORDS }>,
}

impl RuntimeMaps {
    pub(super) fn take(ebpf: &mut Ebpf, runtimes: Runtimes) -> Result<Self, LoadError> {
        Ok(Self {
            python: ProcessMap::take(ebpf, runtimes.python, python::PROCESSES)?,
            hotspot: ProcessMap::take(ebpf, runtimes.hotspot, hotspot::PROCESSES)?,
            v8: ProcessMap::take(ebpf, runtimes.v8, v8::PROCESSES)?,
            ruby: ProcessMap::take(ebpf, runtimes.ruby, ruby::PROCESSES)?,
            perl: ProcessMap::take(ebpf, runtimes.perl, perl::PROCESSES)?,
            php: ProcessMap::take(ebpf, runtimes.php, php::PROCESSES)?,
            go: ProcessMap::take(ebpf, runtimes.go, go::PROCESSES)?,
            with_labels: HashSet::new(),
            dotnet: ProcessMap::take(ebpf, runtimes.dotnet, dotnet::PROCESSES)?,
        })
    }

    pub(super) fn put(&mut self, pid: u32, process: &RuntimeProcess) -> Result<(), FillError> {
        match process {
            RuntimeProcess::Python(process) => self.python.put(pid, process.words()),
            RuntimeProcess::HotSpot(process) => self.hotspot.put(pid, process.words()),
            RuntimeProcess::V8(process) => self.v8.put(pid, process.words()),
            RuntimeProcess::Ruby(process) => self.ruby.put(pid, process.words()),
            RuntimeProcess::Perl(process) => self.perl.put(pid, process.words()),
            RuntimeProcess::Php(process) => self.php.put(pid, process.words()),
            RuntimeProcess::Go(process) => {
                self.go.put(pid, process.words())?;
                self.with_labels.insert(pid);
                Ok(())
            }
            RuntimeProcess::DotNet(process) => self.dotnet.put(pid, process.words()),
        }
    }

    /// Whether samples of a process may have labels.
    pub(super) fn has_labels(&self, pid: u32) -> bool {
        self.with_labels.contains(&pid)
    }

    pub(super) fn remove(&mut self, pid: u32) {
        self.python.remove(pid);
        self.hotspot.remove(pid);
        self.v8.remove(pid);
        self.ruby.remove(pid);
        self.perl.remove(pid);
        self.php.remove(pid);
        if self.with_labels.remove(&pid) {
            self.go.remove(pid);
        }
        self.dotnet.remove(pid);
    }
}

/// By pid: what the kernel knows of a process. None of a runtime that is not wanted.
struct ProcessMap<const WORDS: usize>(Option<HashMap<MapData, u32, [u64; WORDS]>>);

impl<const WORDS: usize> ProcessMap<WORDS> {
    fn take(ebpf: &mut Ebpf, is_wanted: bool, name: &'static str) -> Result<Self, LoadError> {
        let map = if is_wanted { Some(HashMap::try_from(take(ebpf, name)?)?) } else { None };
        Ok(Self(map))
    }

    fn put(&mut self, pid: u32, words: [u64; WORDS]) -> Result<(), FillError> {
        if let Some(map) = &mut self.0 {
            map.insert(pid, words, 0)?;
        }
        Ok(())
    }

    fn remove(&mut self, pid: u32) {
        if let Some(map) = &mut self.0 {
            // Most processes are of no runtime.
            let _ = map.remove(&pid);
        }
    }
}

/// A struct as the kernel has it: its fields, one behind the other, and zeros up to its end.
fn packed<const WORDS: usize>(fields: &[&[u8]]) -> [u64; WORDS] {
    let mut bytes = fields.iter().flat_map(|field| field.iter().copied());
    std::array::from_fn(|_| u64::from_le_bytes(std::array::from_fn(|_| bytes.next().unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    /// The fields of a struct in a header, each with the number that these words have for it; behind an array, where it
    /// begins with one.
    pub(super) fn fields<'h>(header: &'h str, name: &str, words: &[u64]) -> Vec<(&'h str, i64)> {
        let (_, rest) = header.split_once(&format!("struct {name} {{")).unwrap();
        let (body, _) = rest.split_once("\n};").unwrap();
        let field = |line: &'h str| {
            let (kind, rest) = line.trim().split_once(' ')?;
            let bits: usize = kind.get(1..)?.parse().ok()?;
            Some((rest.split_once(';')?.0, bits / 8))
        };
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut at = 0;
        let read = |(name, size): (&'h str, usize)| {
            let mut word = [if bytes[at + size - 1] & 0x80 == 0 { 0 } else { 0xff }; 8];
            word[..size].copy_from_slice(&bytes[at..at + size]);
            at += size;
            (name, i64::from_le_bytes(word))
        };
        let fields: Vec<_> = body.lines().filter_map(field).map(read).collect();
        assert_eq!(at.next_multiple_of(8), bytes.len(), "{name} is of another size");
        fields
    }
}
