//! Addresses become names: of the files that processes execute, of the kernel, and of code that was written while a
//! program ran.
//!
//! A file's table of symbols is made once, on a thread of low priority, and kept on a disk; addresses are looked up
//! there. In memory are answers that were given of late.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::kernel::Frame;
use crate::native::elf::{ElfFile, FileId};
use crate::native::symbols::{Location, SymbolFile};

pub(crate) use generations::Generations;
use kernel::KernelSymbols;
use maker::Maker;
use perf_map::PerfMaps;
use store::Store;

pub use demangle::{Demangle, demangle};
pub use kernel::KernelNames;
pub use maker::{MadeSoFar, Origin};

mod debug_files;
mod demangle;
mod generations;
mod kernel;
mod maker;
mod perf_map;
mod store;

/// Tables that are open at once; each holds a descriptor, and some kilobytes of its index.
const MAX_OPEN: usize = 128;
/// Files without a table that are remembered.
const MAX_ABSENT: usize = 65_536;
/// A table that is not there is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How names are found.
#[derive(Debug, Clone)]
pub struct SymbolSettings {
    /// The folder of tables. Made where there is none; it must be this user's.
    pub cache: PathBuf,
    /// What tables may take there, in bytes.
    pub cache_bytes: u64,
    /// What answers may take in memory, in bytes, and what names of code that was written at run time may.
    pub memory_bytes: usize,
    /// How much of the names of C++ and Rust is said.
    pub demangle: Demangle,
    /// Whether lines and inlined functions are looked for.
    pub lines: bool,
}

/// Why there is no symbolizer. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum SymbolizerError {
    /// The folder.
    #[error("the folder of symbols {path}: {error}", path = path.display())]
    Cache {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// No thread.
    #[error("the thread of the symbolizer cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// A function that an address is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its name, demangled as the settings say.
    pub name: &'a str,
    /// Its name as linkers know it.
    pub system_name: &'a str,
    /// The source that this place is in; empty where that is not known.
    pub file: &'a str,
    /// The line in it; 0: not known.
    pub line: u32,
    /// Where the function begins in its source; 0: not known.
    pub start_line: u32,
}

/// The address whose function a frame is in, in its file. Where a frame is its callee's caller, the address is that
/// of the instruction behind the call, which may be of the next function: the call is what is looked up.
///
/// All of [`Symbolizer`]'s lookups expect such addresses. Of the kernel's frames all but the first are callers.
#[must_use]
pub fn address_of_call(frame: &Frame) -> u64 {
    frame.address.saturating_sub(u64::from(frame.caller))
}

/// Finds names. Shared by those who bring files and those who ask.
#[derive(Debug)]
pub struct Symbolizer {
    shared: Arc<Shared>,
    maker: Maker,
    kernel: Mutex<KernelSymbols>,
    perf_maps: Mutex<PerfMaps>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    demangle: Demangle,
    answers: Mutex<Answers>,
}

#[derive(Debug)]
struct Answers {
    given: Generations<(FileId, u64), Arc<[Answer]>>,
    open: Generations<FileId, Arc<SymbolFile<File>>>,
    absent: HashMap<FileId, Absent>,
}

#[derive(Debug)]
struct Answer {
    /// None where that is the same.
    demangled: Option<Box<str>>,
    location: Location,
}

/// A table that is not there.
#[derive(Debug, Clone, Copy)]
enum Absent {
    /// Somebody looked for it.
    Wanted,
    /// Who has its file was asked.
    Asked(Instant),
    /// It cannot be made.
    Hopeless,
}

impl Symbolizer {
    /// Opens the folder of tables and starts the thread that makes them.
    ///
    /// # Errors
    /// The folder cannot be made or is another user's; there is no thread.
    pub fn new(settings: SymbolSettings) -> Result<Self, SymbolizerError> {
        let SymbolSettings { cache, cache_bytes, memory_bytes, demangle, lines } = settings;
        let store = Store::open(&cache, cache_bytes, lines)
            .map_err(|error| SymbolizerError::Cache { path: cache.clone(), error })?;
        let answers = Answers {
            given: Generations::new(memory_bytes / 2),
            open: Generations::new(MAX_OPEN),
            absent: HashMap::new(),
        };
        let shared = Arc::new(Shared { store, demangle, answers: Mutex::new(answers) });
        let maker = Maker::start(Arc::clone(&shared), lines).map_err(SymbolizerError::Thread)?;
        let kernel = Mutex::new(KernelSymbols::new());
        let perf_maps = Mutex::new(PerfMaps::new(memory_bytes / 2));
        Ok(Self { shared, maker, kernel, perf_maps })
    }

    /// Takes a file whose table is to be made, unless it is there or waits to be made. Returns at once; false where
    /// too many wait: offer it again later.
    pub fn offer(&self, file: ElfFile, origin: Origin) -> bool {
        if self.shared.store.has(file.id()) {
            return true;
        }
        self.maker.ask(file, origin)
    }

    /// The functions that an address of a file is in, those that were inlined before those that they were inlined
    /// into; none where nothing is known. For the address see [`address_of_call`].
    pub fn user(&self, file: FileId, address: u64, mut found: impl FnMut(Function<'_>)) {
        let Some(locations) = self.shared.locations(file, address) else { return };
        for Answer { demangled, location } in locations.iter() {
            let Location { name: system_name, file, line, start_line } = location;
            let name = demangled.as_deref().unwrap_or(system_name);
            found(Function { name, system_name, file, line: *line, start_line: *start_line });
        }
    }

    /// The kernel's function at an address, and the module it is of: `bpf` for BPF programs. Nothing is called where
    /// none is known.
    pub fn kernel(&self, address: u64, found: impl FnOnce(&str, Option<&str>)) {
        if let Some((name, module)) = lock(&self.kernel).find(address) {
            found(name, module);
        }
    }

    /// What is known of the kernel's names so far.
    #[must_use]
    pub fn kernel_names(&self) -> KernelNames {
        lock(&self.kernel).state()
    }

    /// What a process says of code that it wrote itself, by an address in its memory. Nothing is called where it says
    /// nothing.
    pub fn perf_map(&self, pid: u32, address: u64, found: impl FnOnce(&str)) {
        if let Some(name) = lock(&self.perf_maps).find(pid, address) {
            found(name);
        }
    }

    /// Files that were asked for and have no table, so many at most: whoever has one offers it. Each is said once in a
    /// while.
    #[must_use]
    pub fn wanted(&self, at_most: usize) -> Vec<FileId> {
        self.shared.take_wanted(at_most)
    }

    /// Waits until all that was offered is made, and says whether it is.
    pub fn wait(&self, at_most: Duration) -> bool {
        self.maker.wait(at_most)
    }

    /// What was made so far.
    #[must_use]
    pub fn made(&self) -> MadeSoFar {
        self.maker.made()
    }
}

impl Shared {
    fn locations(&self, file: FileId, address: u64) -> Option<Arc<[Answer]>> {
        let mut answers = lock(&self.answers);
        if let Some(given) = answers.given.get(&(file, address)) {
            return Some(given);
        }
        let table = self.table(&mut answers, file)?;
        let mut found = Vec::new();
        if table.lookup(address, &mut found).is_err() {
            self.store.remove(file);
            answers.open.remove(&file);
            answers.want(file);
            return None;
        }
        let found: Arc<[Answer]> = found.into_iter().map(|location| self.answer(location)).collect();
        let cost = found.iter().map(footprint).sum::<usize>() + size_of::<(FileId, u64, Arc<[Answer]>)>();
        answers.given.insert((file, address), Arc::clone(&found), cost);
        Some(found)
    }

    fn answer(&self, location: Location) -> Answer {
        let demangled = demangle(&location.name, self.demangle).map(String::into_boxed_str);
        Answer { demangled, location }
    }

    fn table(&self, answers: &mut Answers, file: FileId) -> Option<Arc<SymbolFile<File>>> {
        if let Some(open) = answers.open.get(&file) {
            return Some(open);
        }
        if answers.absent.contains_key(&file) {
            answers.want(file);
            return None;
        }
        let Some(table) = self.store.load(file).map(Arc::new) else {
            answers.want(file);
            return None;
        };
        answers.open.insert(file, Arc::clone(&table), 1);
        Some(table)
    }

    fn take_wanted(&self, at_most: usize) -> Vec<FileId> {
        let now = Instant::now();
        let mut answers = lock(&self.answers);
        let wanted = answers.absent.iter_mut().filter(|(_, absent)| matches!(absent, Absent::Wanted)).take(at_most);
        wanted
            .map(|(file, absent)| {
                *absent = Absent::Asked(now);
                *file
            })
            .collect()
    }

    /// A table is there now, or never will be.
    fn settle(&self, file: FileId, is_there: bool) {
        let mut answers = lock(&self.answers);
        answers.open.remove(&file);
        if is_there {
            answers.absent.remove(&file);
        } else {
            answers.note_absent(file, Absent::Hopeless);
        }
    }
}

impl Answers {
    fn want(&mut self, file: FileId) {
        match self.absent.get(&file) {
            Some(Absent::Wanted | Absent::Hopeless) => {}
            Some(Absent::Asked(when)) if when.elapsed() < ASK_AGAIN => {}
            _ => self.note_absent(file, Absent::Wanted),
        }
    }

    fn note_absent(&mut self, file: FileId, absent: Absent) {
        if self.absent.len() >= MAX_ABSENT {
            self.absent.clear();
        }
        self.absent.insert(file, absent);
    }
}

fn footprint(Answer { demangled, location }: &Answer) -> usize {
    size_of::<Answer>() + location.name.len() + location.file.len() + demangled.as_ref().map_or(0, |name| name.len())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole after each of its calls.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
