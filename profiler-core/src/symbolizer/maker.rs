//! Tables of symbols are made on a thread of low priority: the largest files take seconds.
//!
//! A file's is made when its unwind table is, not when it is first sampled: it is open then, its process is there, and
//! the table is ready when names are asked for. The price is that libraries are read that are never sampled, each of
//! them once in the life of the folder: 1.8 s for the 517 libraries and programs of a host, whose unwind tables take
//! 1.3 s at each start.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Shared, debug_files, lock};
use crate::native::elf::{ElfFile, FileId};
use crate::native::symbols::{Sources, Stats, SymbolTable};
use crate::process::Root;

/// Files that wait; each holds two descriptors.
const MAX_WAITING: usize = 128;
const LOWEST_PRIORITY: i32 = 19;

/// Where a file comes from: what was split off from it is looked for there.
#[derive(Debug, Default)]
pub struct Origin {
    /// The root of a process that executes it. Without it nothing is looked for.
    pub root: Option<Root>,
    /// Its path there.
    pub path: String,
}

/// What was made so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MadeSoFar {
    /// Tables.
    pub tables: u64,
    /// Of these, those of files without any name.
    pub nameless: u64,
    /// Files whose table could not be made or kept.
    pub failed: u64,
    /// Tables with fewer names or lines than their files have.
    pub cut: u64,
    /// Files with more debug information than is read: they have names, but no lines.
    pub without_lines: u64,
}

/// The thread ends with this.
#[derive(Debug)]
pub(super) struct Maker {
    wanted: Option<SyncSender<(ElfFile, Origin)>>,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    state: Mutex<State>,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pending: HashSet<FileId>,
    made: MadeSoFar,
}

impl Maker {
    pub(super) fn start(shared: Arc<Shared>, lines: bool) -> io::Result<Self> {
        let (wanted, to_make) = sync_channel(MAX_WAITING);
        let progress = Arc::new(Progress::default());
        let for_thread = Arc::clone(&progress);
        let thread = std::thread::Builder::new()
            .name("symbols".to_owned())
            .spawn(move || run(&to_make, &shared, lines, &for_thread))?;
        Ok(Self { wanted: Some(wanted), progress, thread: Some(thread) })
    }

    /// False: too many wait.
    pub(super) fn ask(&self, file: ElfFile, origin: Origin) -> bool {
        let id = file.id();
        // Before it is sent: it may be finished before this goes on.
        if !lock(&self.progress.state).pending.insert(id) {
            return true;
        }
        let is_sent = self.wanted.as_ref().is_some_and(|wanted| wanted.try_send((file, origin)).is_ok());
        if !is_sent {
            lock(&self.progress.state).pending.remove(&id);
        }
        is_sent
    }

    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let state = lock(&self.progress.state);
        let waited = self.progress.finished.wait_timeout_while(state, at_most, |state| !state.pending.is_empty());
        waited.is_ok_and(|(state, _)| state.pending.is_empty())
    }

    pub(super) fn made(&self) -> MadeSoFar {
        lock(&self.progress.state).made
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.progress.stop.store(true, Ordering::Relaxed);
        self.wanted = None;
        if let Some(thread) = self.thread.take() {
            // What it panicked with is on standard error already.
            let _ = thread.join();
        }
    }
}

fn run(to_make: &Receiver<(ElfFile, Origin)>, shared: &Shared, lines: bool, progress: &Progress) {
    // On Linux this is of the thread alone. Where it is refused the thread works as others do.
    let _ = rustix::process::setpriority_process(None, LOWEST_PRIORITY);
    for (file, origin) in to_make {
        if progress.stop.load(Ordering::Relaxed) {
            return;
        }
        let id = file.id();
        let made = make(shared, lines, &file, &origin);
        shared.settle(id, made.is_some());
        let mut state = lock(&progress.state);
        match made {
            Some(stats) => {
                state.made.tables += 1;
                state.made.nameless += u64::from(stats.functions == 0);
                state.made.cut += u64::from(stats.cut);
                state.made.without_lines += u64::from(stats.lines_left_out);
            }
            None => state.made.failed += 1,
        }
        state.pending.remove(&id);
        progress.finished.notify_all();
    }
}

fn make(shared: &Shared, lines: bool, file: &ElfFile, origin: &Origin) -> Option<Stats> {
    let debug = debug_files::find(file, origin, lines);
    let table = SymbolTable::build(file, &Sources { debug: debug.as_ref(), lines }).ok()?;
    shared.store.save(file.id(), &table).ok()?;
    Some(table.stats)
}
