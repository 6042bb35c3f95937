//! Processes: which are known, what they have mapped, and when to look again.

mod bring;
mod count;
mod event;
mod resolve;
mod runtimes;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::{Files, TableState};
use super::tables::{Made, TableMaker};
use super::{Choice, Settings, Shared, lock};
use crate::kernel::{Content, FileRef, FrameKind, Kernel, MAX_MAPPINGS, Mapping, Shortfall, Table, Unwinder};
use crate::native::unwind::UnwindTable;
use crate::process::{MappedMemory, executable_memory, start_time};
use crate::runtime::Reader;
use crate::symbolizer::Symbolizer;
pub(super) use event::Event;
use runtimes::FoundRuntimes;

#[derive(Debug)]
struct Process {
    start_time: u64,
    /// For which it is sampled.
    cgroup: Option<u64>,
    memory: Vec<MappedMemory>,
    contents: Vec<Mapped>,
    runtimes: FoundRuntimes,
    /// After mappings that did not change although the kernel missed one, it waits longer before it looks again.
    patience: Duration,
    read_at: Instant,
    /// To be read again at this time.
    again_at: Option<Instant>,
}

/// What stands behind a stretch of memory, by numbers.
#[derive(Debug, Clone, Copy)]
enum Mapped {
    Anonymous,
    File { file: FileRef, bias: u64 },
}

/// A program that begins loads one library after the other.
const FIRST_PATIENCE: Duration = Duration::from_millis(50);
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);
/// Whether processes are still there is asked so often where the kernel does not tell.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// The kernel tells, but its word may be lost.
const LOOK_AROUND_SELDOM: Duration = Duration::from_secs(60);
/// Compilers and the like come again; a table of theirs takes seconds to make.
const KEEP_UNUSED: Duration = Duration::from_secs(600);
const COUNT_AGAIN: Duration = Duration::from_secs(1);
/// As many as the kernel's map holds.
const MAX_PROCESSES: usize = 16_384;

#[derive(Debug)]
pub(super) struct Follower {
    processes: HashMap<u32, Process>,
    files: Files,
    maker: TableMaker,
    look_around: Duration,
    looked_around: Instant,
    counted: Instant,
    refused: u64,
    /// Processes that were met.
    began: u64,
    /// Of all tables together.
    max_rows: u64,
    choice: Option<Choice>,
    symbolizer: Option<Arc<Symbolizer>>,
    reader: Arc<Reader>,
    /// The kernel's library as it was last seen: its size, and which file it is.
    vdso: Option<(u64, FileRef)>,
}

impl Follower {
    pub(super) fn new(
        shortfalls: &[Shortfall],
        settings: &Settings,
        choice: Option<Choice>,
        reader: Arc<Reader>,
    ) -> io::Result<Self> {
        let symbolizer = settings.symbolizer.clone();
        let is_told = !shortfalls.contains(&Shortfall::Lifetimes);
        Ok(Self {
            processes: HashMap::new(),
            files: Files::default(),
            maker: TableMaker::start(symbolizer.clone(), settings.runtimes)?,
            look_around: if is_told { LOOK_AROUND_SELDOM } else { LOOK_AROUND },
            looked_around: Instant::now(),
            counted: Instant::now(),
            refused: 0,
            began: 0,
            max_rows: settings.table_memory / size_of::<u64>() as u64,
            choice,
            symbolizer,
            reader,
            vdso: None,
        })
    }

    /// Whether a table is being made, or a runtime looked for.
    pub(super) fn is_waiting(&self) -> bool {
        self.maker.is_waited_for() || self.reader.is_attaching()
    }

    pub(super) fn handle(&mut self, kernel: &mut Kernel, shared: &Shared, event: Event) {
        match event {
            Event::Exit(pid) => self.forget(kernel, pid),
            Event::Unknown { pid, .. }
                if self.processes.len() >= MAX_PROCESSES && !self.processes.contains_key(&pid) => {}
            Event::Unknown { pid, .. } | Event::Exec(pid) if !self.is_chosen(pid) => self.decline(kernel, pid),
            Event::Unknown { pid, cgroup } => {
                self.read_or_forget(kernel, shared, pid);
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.cgroup = cgroup;
                }
            }
            Event::Exec(pid) => {
                self.forget_runtimes(kernel, pid);
                self.read_or_forget(kernel, shared, pid);
            }
            Event::Stale(pid) => {
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.again_at = Some(process.read_at + process.patience);
                }
            }
        }
    }

    /// Whether samples of a process are kept that came before it was known.
    pub(super) fn wants(&self, pid: u32) -> bool {
        self.choice.is_none() || self.processes.contains_key(&pid)
    }

    /// Asks again of the processes that are unwound, and lets the kernel announce the others.
    pub(super) fn reconsider(&mut self, kernel: &mut Kernel) {
        kernel.decline_none();
        let refused: Vec<u32> = self.processes.keys().filter(|pid| !self.is_chosen(**pid)).copied().collect();
        for pid in refused {
            self.decline(kernel, pid);
        }
    }

    fn is_chosen(&self, pid: u32) -> bool {
        self.choice.as_ref().is_none_or(|choice| choice.takes(pid))
    }

    fn decline(&mut self, kernel: &mut Kernel, pid: u32) {
        self.forget(kernel, pid);
        if kernel.decline(pid).is_err() {
            self.refused += 1;
        }
    }

    /// What a process has at an address.
    pub(super) fn place(&self, pid: u32, address: u64) -> Option<(FrameKind, FileRef, u64)> {
        let process = self.processes.get(&pid)?;
        let place = process.memory.partition_point(|memory| memory.end <= address);
        process.memory.get(place).filter(|memory| memory.start <= address)?;
        match *process.contents.get(place)? {
            Mapped::Anonymous => Some((FrameKind::Anonymous, FileRef(0), address)),
            Mapped::File { file, bias } => Some((FrameKind::Native, file, address.wrapping_sub(bias))),
        }
    }

    /// What is due, whatever the kernel tells.
    pub(super) fn tick(&mut self, kernel: &mut Kernel, shared: &Shared) {
        let now = Instant::now();
        self.take_tables(kernel, shared);
        self.take_runtimes(kernel);
        let due: Vec<u32> = self
            .processes
            .iter()
            .filter(|(_, process)| process.again_at.is_some_and(|at| at <= now))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in due {
            self.read_or_forget(kernel, shared, pid);
        }
        if now.duration_since(self.looked_around) >= self.look_around {
            self.looked_around = now;
            self.look_around(kernel, shared);
        }
        if now.duration_since(self.counted) >= COUNT_AGAIN {
            self.counted = now;
            self.ask_again(now);
            self.count(kernel, shared);
            self.bring_wanted();
        }
    }

    /// Lets processes be read again whose files' tables were not asked for because too many waited.
    fn ask_again(&mut self, now: Instant) {
        if self.maker.is_waited_for() {
            return;
        }
        let wanted = self.files.wanted();
        let is_wanted = |mapped: &Mapped| matches!(mapped, Mapped::File { file, .. } if wanted.contains(file));
        for process in self.processes.values_mut().filter(|process| process.contents.iter().any(is_wanted)) {
            process.again_at.get_or_insert(now);
        }
    }

    /// It may be over already: most processes that are not known are short.
    fn read_or_forget(&mut self, kernel: &mut Kernel, shared: &Shared, pid: u32) {
        if self.read_process(kernel, shared, pid).is_err() {
            self.forget(kernel, pid);
        }
    }

    /// Reads what a process has mapped and tells the kernel.
    pub(super) fn read_process(&mut self, kernel: &mut Kernel, shared: &Shared, pid: u32) -> io::Result<()> {
        let start_time = start_time(pid)?;
        let mut memory = executable_memory(pid)?;
        memory.truncate(MAX_MAPPINGS);
        let mut before = self.processes.remove(&pid);
        let same = before.as_ref().is_some_and(|before| before.start_time == start_time && before.memory == memory);
        let patience = match &before {
            Some(before) if same => (before.patience * 2).min(LONGEST_PATIENCE),
            _ => FIRST_PATIENCE,
        };
        if before.as_ref().is_none_or(|before| before.start_time != start_time) {
            self.began += 1;
        }
        let cgroup = before.as_ref().and_then(|before| before.cgroup);
        let runtimes =
            self.keep_runtimes(kernel, pid, before.as_mut().filter(|before| before.start_time == start_time));
        let contents: Vec<Mapped> = memory.iter().map(|memory| self.resolve(shared, pid, memory)).collect();
        self.use_files(&contents, 1);
        if let Some(before) = before {
            self.use_files(&before.contents, -1);
        }
        let mut process = Process {
            start_time,
            cgroup,
            memory,
            contents,
            runtimes,
            patience,
            read_at: Instant::now(),
            again_at: None,
        };
        self.look_for_runtimes(pid, &mut process);
        self.put(kernel, pid, &process);
        self.processes.insert(pid, process);
        Ok(())
    }

    /// Makes these the processes that are unwound. What cannot be read is gone already.
    pub(super) fn follow_only(&mut self, kernel: &mut Kernel, shared: &Shared, pids: &HashSet<u32>) {
        let others: Vec<u32> = self.processes.keys().filter(|pid| !pids.contains(pid)).copied().collect();
        for pid in others {
            self.forget(kernel, pid);
        }
        for pid in pids {
            if !self.processes.contains_key(pid) {
                let _ = self.read_process(kernel, shared, *pid);
            }
        }
    }

    /// Makes these the cgroups whose processes are unwound.
    pub(super) fn follow_cgroups(&mut self, kernel: &mut Kernel, cgroups: &HashSet<u64>) {
        if kernel.set_cgroups(cgroups).is_err() {
            self.refused += 1;
        }
        let others = |process: &Process| process.cgroup.is_none_or(|cgroup| !cgroups.contains(&cgroup));
        let others: Vec<u32> =
            self.processes.iter().filter(|(_, process)| others(process)).map(|(pid, _)| *pid).collect();
        for pid in others {
            self.forget(kernel, pid);
        }
    }

    fn put(&mut self, kernel: &mut Kernel, pid: u32, process: &Process) {
        let mappings: Vec<Mapping> = process
            .memory
            .iter()
            .zip(&process.contents)
            .flat_map(|(memory, mapped)| {
                let whole = Mapping {
                    start: memory.start,
                    end: memory.end,
                    content: self.content(*mapped),
                    unwinder: Unwinder::NATIVE,
                };
                process.runtimes.divide(&whole, &memory.source)
            })
            .collect();
        if kernel.put_process(pid, &mappings).is_err() {
            self.refused += 1;
        }
    }

    fn content(&self, mapped: Mapped) -> Content {
        match mapped {
            Mapped::Anonymous => Content::Anonymous,
            Mapped::File { file, bias } => {
                let table = match self.files.get(file).map(|known| known.table) {
                    Some(TableState::Ready(table)) => Some(table),
                    _ => None,
                };
                Content::File { file, bias, table }
            }
        }
    }

    fn use_files(&mut self, contents: &[Mapped], by: i32) {
        for mapped in contents {
            if let Mapped::File { file, .. } = mapped
                && let Some(known) = self.files.get_mut(*file)
            {
                known.used(by);
            }
        }
    }

    /// Puts the tables that are finished into the kernel, and tells it of the processes that have those files.
    fn take_tables(&mut self, kernel: &mut Kernel, shared: &Shared) {
        let mut ready = HashSet::new();
        while let Some(Made { file, table, runtime }) = self.maker.next() {
            let runtime = runtime.unwrap_or_else(|unsupported| {
                self.reader.remark(format!("{unsupported}: it is shown as machine code"));
                None
            });
            let state = match table {
                Some(table) => self.put_table(kernel, shared, &table).map_or(TableState::NoRoom, TableState::Ready),
                None => TableState::Without,
            };
            if let Some(known) = self.files.get_mut(file) {
                known.table = state;
                known.runtime = runtime;
                ready.insert(file);
            }
        }
        if ready.is_empty() {
            return;
        }
        let touched: Vec<u32> = self
            .processes
            .iter()
            .filter(|(_, process)| {
                process
                    .contents
                    .iter()
                    .any(|mapped| matches!(mapped, Mapped::File { file, .. } if ready.contains(file)))
            })
            .map(|(pid, _)| *pid)
            .collect();
        for pid in touched {
            if let Some(mut process) = self.processes.remove(&pid) {
                self.look_for_runtimes(pid, &mut process);
                self.put(kernel, pid, &process);
                self.processes.insert(pid, process);
            }
        }
    }

    /// None where there is no room for it: its frames are then found by frame pointers.
    fn put_table(&mut self, kernel: &mut Kernel, shared: &Shared, table: &UnwindTable) -> Option<Table> {
        let most = self.max_rows.saturating_sub(table.rows.len() as u64);
        let room_for = |files: &Files| files.rows() <= most;
        if !room_for(&self.files) {
            self.forget_files(kernel, shared, Duration::ZERO);
        }
        let put = room_for(&self.files).then(|| kernel.put_table(table).ok()).flatten();
        if put.is_none() {
            self.refused += 1;
        }
        put
    }

    fn forget_files(&mut self, kernel: &mut Kernel, shared: &Shared, unused_for: Duration) {
        for (file, table) in self.files.forget_unused(unused_for) {
            if let TableState::Ready(table) = table
                && kernel.remove_table(table.slot).is_err()
            {
                self.refused += 1;
            }
            lock(&shared.names).remove(file);
        }
    }

    fn forget(&mut self, kernel: &mut Kernel, pid: u32) {
        kernel.remove_process(pid);
        if let Some(process) = self.processes.remove(&pid) {
            if !process.runtimes.is_empty() {
                self.reader.forget(pid);
            }
            self.use_files(&process.contents, -1);
        }
    }

    /// Forgets processes that are gone or others by now, and files that nobody has mapped.
    fn look_around(&mut self, kernel: &mut Kernel, shared: &Shared) {
        let gone: Vec<u32> = self
            .processes
            .iter()
            .filter(|(pid, process)| start_time(**pid).ok() != Some(process.start_time))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in gone {
            self.forget(kernel, pid);
        }
        self.forget_files(kernel, shared, KEEP_UNUSED);
        lock(&shared.traces).forget_others(|pid| self.processes.contains_key(&pid));
        // One that ended while it was declined left its pid to others.
        kernel.decline_none();
    }
}
