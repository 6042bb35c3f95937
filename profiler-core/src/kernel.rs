//! The programs that sample, in the kernel: loading them, filling their maps, reading what they hand over.
//!
//! What they do is in `bpf/`. This is the only place that knows aya, and, for bpf(2) alone, `unsafe`.

mod batch;
mod counters;
mod error;
mod layout;
mod object;
mod probe;
mod ranges;
mod record;
mod rights;
mod runtimes;
mod tables;

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::maps::{ArrayOfMaps, HashMap, Map, MapData, PerCpuArray, ProgramArray, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use counters::Counters;
pub use error::{FillError, LoadError};
pub use layout::{Content, FileRef, FrameKind, Mapping, Origin, RuntimeWalk, Stop, Table, TableSlot, Unwinder};
pub use probe::{Location, Place, Probe, ProbeSyntaxError};
use ranges::Ranges;
pub use record::{Frame, Record, Sample};
pub use rights::Shortfall;
pub use runtimes::{
    CodeHeap, DotNetProcess, EntryEnd, GoProcess, HotSpotField, HotSpotProcess, InFrame, LoopFrame, PerlProcess,
    PhpProcess, PythonProcess, RubyProcess, RuntimeProcess, Runtimes, ThreadSlot, V8Process,
};
use runtimes::{RuntimeMaps, Walker};
use tables::{Rules, new_table};

use crate::native::unwind::UnwindTable;
use crate::process;

/// The kernel searches no more executable mappings of one process.
pub const MAX_MAPPINGS: usize = 4096;
/// Rows of one unwind table, as the kernel searches them.
pub const MAX_ROWS: usize = 1 << 24;
/// Full rules of all tables.
pub const MAX_RULES: usize = 65_536;
/// So many tables are in the kernel at once. Number 0 means none.
const TABLES: u32 = 4096;
/// Cgroups that are sampled.
pub const MAX_CGROUPS: usize = 4096;
const MAPPINGS_OF_ALL: u32 = 65_536;
/// A program that began before a range was given up has ended by then.
const GRACE: Duration = Duration::from_secs(1);

/// Whose processes are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that [`Kernel::put_process`] names.
    Listed,
    /// All; those that are not known are announced ([`Record::Unknown`]).
    All,
    /// As all, without threads of the kernel and without those that [`Kernel::decline`] names.
    Chosen,
    /// Those that run in a cgroup of [`Kernel::set_cgroups`] or below it; they are announced as well.
    Cgroups,
}

/// How to sample.
#[derive(Debug, Clone)]
pub struct KernelSettings {
    /// Whose processes.
    pub scope: Scope,
    /// Whether stacks begin with the kernel's frames.
    pub kernel_frames: bool,
    /// The probability with which a thread that leaves its CPU is sampled: 0 to 1.
    pub off_cpu_threshold: f64,
    /// Whose own frames are walked.
    pub runtimes: Runtimes,
    /// The ring buffer's bytes; a power of two, and whole pages. Samples are lost while it is full.
    pub ring_bytes: u32,
}

/// The programs, attached. Sampling ends when this is dropped.
pub struct Kernel {
    ring: RingBuf<MapData>,
    processes: HashMap<MapData, u32, [u32; 4]>,
    declined: HashMap<MapData, u32, u32>,
    cgroups: HashMap<MapData, u64, u32>,
    mappings: MapData,
    ranges: Ranges,
    /// By pid: the range of `mappings`.
    held: std::collections::HashMap<u32, std::ops::Range<u32>>,
    /// Ranges that programs may still read, with the time when they were given up.
    given_up: Vec<(Instant, std::ops::Range<u32>)>,
    tables: ArrayOfMaps<MapData, MapData>,
    free_tables: Vec<u32>,
    rules: Rules,
    /// By table: the rules that it names.
    named_rules: std::collections::HashMap<u32, Vec<Option<u32>>>,
    runtimes: RuntimeMaps,
    counters: PerCpuArray<MapData, u64>,
    shortfalls: Vec<Shortfall>,
    /// The kernel empties it when the last descriptor of it is closed.
    _unwinders: ProgramArray<MapData>,
    _unwinders_off_cpu: ProgramArray<MapData>,
    unwinders_probe: ProgramArray<MapData>,
    samples_off_cpu: bool,
    walkers: Vec<Walker>,
    ebpf: Ebpf,
}

impl Kernel {
    /// Loads the programs and begins to sample.
    ///
    /// # Errors
    /// What the kernel or the rights of this process lack; each is one line.
    pub fn load(settings: &KernelSettings) -> Result<Self, LoadError> {
        let mut shortfalls = rights::examine()?;
        let pid_namespace = process::pid_namespace().map_err(LoadError::PidNamespace)?;
        shortfalls.extend(pid_namespace.map(|_| Shortfall::PidNamespace));
        let mut ebpf = object::load(settings, pid_namespace)?;
        let mut unwinders = ProgramArray::try_from(take(&mut ebpf, "unwinders")?)?;
        let mut unwinders_off_cpu = ProgramArray::try_from(take(&mut ebpf, "unwinders_off_cpu")?)?;
        let walkers = runtimes::walkers(settings.runtimes);
        for walker in &walkers {
            object::add_unwinder(&mut ebpf, &mut unwinders, walker.of_cpus, walker.unwinder)?;
            if settings.off_cpu_threshold > 0.0 {
                object::add_unwinder(&mut ebpf, &mut unwinders_off_cpu, walker.off_cpu, walker.unwinder)?;
            }
        }
        shortfalls.extend(object::follow_processes(&mut ebpf));
        let kernel = Self {
            ring: RingBuf::try_from(take(&mut ebpf, "events")?)?,
            processes: HashMap::try_from(take(&mut ebpf, "processes")?)?,
            declined: HashMap::try_from(take(&mut ebpf, "declined")?)?,
            cgroups: HashMap::try_from(take(&mut ebpf, "cgroups")?)?,
            mappings: array(&mut ebpf, "mappings")?,
            ranges: Ranges::new(MAPPINGS_OF_ALL),
            held: std::collections::HashMap::new(),
            given_up: Vec::new(),
            tables: ArrayOfMaps::try_from(take(&mut ebpf, "tables")?)?,
            free_tables: (1..TABLES).rev().collect(),
            rules: Rules::new(array(&mut ebpf, "rules")?),
            named_rules: std::collections::HashMap::new(),
            runtimes: RuntimeMaps::take(&mut ebpf, settings.runtimes)?,
            counters: PerCpuArray::try_from(take(&mut ebpf, "counters")?)?,
            shortfalls,
            walkers,
            _unwinders: unwinders,
            _unwinders_off_cpu: unwinders_off_cpu,
            unwinders_probe: ProgramArray::try_from(take(&mut ebpf, "unwinders_probe")?)?,
            samples_off_cpu: settings.off_cpu_threshold > 0.0,
            ebpf,
        };
        Ok(kernel)
    }

    /// Samples each thread that comes to this place, from now on.
    ///
    /// # Errors
    /// The kernel has no such probes, or the place is not there.
    pub fn add_probe(&mut self, probe: &Probe) -> Result<(), LoadError> {
        object::add_probe(&mut self.ebpf, &mut self.unwinders_probe, &self.walkers, probe)
    }

    /// Opens the perf events: from here on there are samples, so many a second on each CPU that is busy, and those of
    /// threads that leave it.
    ///
    /// # Errors
    /// perf_event_open(2) refuses, the CPUs are not known, or the kernel has no tracepoint of switches.
    pub fn begin(&mut self, sample_rate: u32) -> Result<(), LoadError> {
        if self.samples_off_cpu {
            object::follow_switches(&mut self.ebpf)?;
        }
        object::attach_to_cpus(&mut self.ebpf, sample_rate)
    }

    /// What works less well for want of a right or a feature, each in one line.
    #[must_use]
    pub fn shortfalls(&self) -> &[Shortfall] {
        &self.shortfalls
    }

    /// By name: how many instructions the verifier looked at to accept a program, where the kernel says so.
    #[must_use]
    pub fn verified_instructions(&self) -> Vec<(String, u32)> {
        self.ebpf
            .programs()
            .filter_map(|(name, program)| {
                let info = program.info().ok()?;
                Some((name.to_owned(), info.verified_instruction_count()?))
            })
            .collect()
    }

    /// How long the programs ran on all CPUs together, while a [`RunTimes`] was held by anyone; else nothing.
    #[must_use]
    pub fn run_time(&self) -> Duration {
        self.ebpf.programs().filter_map(|(_, program)| program.info().ok()).map(|info| info.run_time()).sum()
    }

    /// Makes a process one that is unwound, with these mappings instead of those before. Of more than
    /// [`MAX_MAPPINGS`] the last are left out.
    ///
    /// # Errors
    /// No place for its mappings, or the kernel refuses.
    pub fn put_process(&mut self, pid: u32, mappings: &[Mapping]) -> Result<(), FillError> {
        self.reclaim();
        let mappings = mappings.get(..MAX_MAPPINGS).unwrap_or(mappings);
        let count = u32::try_from(mappings.len()).map_err(|_| FillError::Mappings)?;
        let range = self.ranges.take(count).ok_or(FillError::Mappings)?;
        let words: Vec<u64> = mappings.iter().flat_map(Mapping::words).collect();
        let flags = if self.runtimes.has_labels(pid) { layout::PROCESS_GO } else { 0 };
        let written = batch::update(&self.mappings, range.start, &words, layout::MAPPING_WORDS)
            .map_err(FillError::from)
            .and_then(|()| Ok(self.processes.insert(pid, [range.start, count, flags, 0], 0)?));
        if let Err(error) = written {
            self.ranges.give_back(range);
            return Err(error);
        }
        if let Some(before) = self.held.insert(pid, range) {
            self.given_up.push((Instant::now(), before));
        }
        Ok(())
    }

    /// Forgets a process. In [`Scope::Listed`] it is no longer sampled.
    pub fn remove_process(&mut self, pid: u32) {
        // It may be gone: the kernel's answer tells nothing that matters.
        let _ = self.processes.remove(&pid);
        self.remove_runtimes(pid);
        if let Some(range) = self.held.remove(&pid) {
            self.given_up.push((Instant::now(), range));
        }
        self.reclaim();
    }

    /// Tells where a runtime has its frames in a process, or Go its labels. Mappings that name the runtime's unwinder come
    /// after it, and so does [`Kernel::put_process`] of one with labels.
    ///
    /// # Errors
    /// Too many processes, or the kernel refuses.
    pub fn put_runtime(&mut self, pid: u32, process: &RuntimeProcess) -> Result<(), FillError> {
        self.runtimes.put(pid, process)
    }

    /// Forgets what was told of runtimes in a process.
    pub fn remove_runtimes(&mut self, pid: u32) {
        self.runtimes.remove(pid);
    }

    /// In [`Scope::Chosen`]: samples a process that is not unwound no longer, and does not announce it again, until it
    /// runs another program or [`Kernel::decline_none`] is called. The kernel may forget it earlier.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn decline(&mut self, pid: u32) -> Result<(), FillError> {
        Ok(self.declined.insert(pid, 0, 0)?)
    }

    /// Announces the processes again that were declined, as soon as they run.
    pub fn decline_none(&mut self) {
        let pids: Vec<u32> = self.declined.keys().filter_map(Result::ok).collect();
        for pid in pids {
            // Gone meanwhile: just as well.
            let _ = self.declined.remove(&pid);
        }
    }

    /// In [`Scope::Cgroups`]: samples these from now on, instead of those before. A cgroup's number is that of its folder
    /// in cgroup v2.
    ///
    /// # Errors
    /// More than [`MAX_CGROUPS`], or the kernel refuses.
    pub fn set_cgroups(&mut self, cgroups: &HashSet<u64>) -> Result<(), FillError> {
        if cgroups.len() > MAX_CGROUPS {
            return Err(FillError::Cgroups { given: cgroups.len() });
        }
        let before: HashSet<u64> = self.cgroups.keys().collect::<Result<_, _>>()?;
        for gone in before.difference(cgroups) {
            self.cgroups.remove(gone)?;
        }
        for new in cgroups.difference(&before) {
            self.cgroups.insert(*new, 0, 0)?;
        }
        Ok(())
    }

    /// Puts a file's unwind table into the kernel. Takes milliseconds: once for each file, not for each process.
    ///
    /// # Errors
    /// No rows, too many rows or tables, or the kernel refuses.
    pub fn put_table(&mut self, table: &UnwindTable) -> Result<Table, FillError> {
        let rows = u32::try_from(table.rows.len())
            .ok()
            .filter(|rows| *rows > 0 && table.rows.len() <= MAX_ROWS)
            .ok_or(FillError::Rows { rows: table.rows.len() })?;
        let places = self.rules.put(&table.rules)?;
        let Some(slot) = self.free_tables.pop() else {
            self.rules.give_back(&places);
            return Err(FillError::Tables);
        };
        let filled = new_table(rows).and_then(|map| {
            tables::fill(&map, &table.rows, &places)?;
            Ok(self.tables.set(slot, &map, 0)?)
        });
        if let Err(error) = filled {
            self.free_tables.push(slot);
            self.rules.give_back(&places);
            return Err(error);
        }
        self.named_rules.insert(slot, places);
        Ok(Table { slot: TableSlot { slot, rows }, base: table.base })
    }

    /// Gives a table's memory back. Mappings that still name it have no unwind information from then on.
    ///
    /// # Errors
    /// The kernel refuses: the table stays.
    pub fn remove_table(&mut self, table: TableSlot) -> Result<(), FillError> {
        let empty = new_table(1)?;
        // The kernel waits for the programs that may read it, before it says that it is done.
        self.tables.set(table.slot, &empty, 0)?;
        if let Some(places) = self.named_rules.remove(&table.slot) {
            self.rules.give_back(&places);
        }
        self.free_tables.push(table.slot);
        Ok(())
    }

    /// Waits until something wants to be read at once, but no longer than this.
    pub fn wait(&self, at_most: Duration) {
        let mut descriptors = [PollFd::new(&self.ring, PollFlags::IN)];
        // Too long for a Timespec, or interrupted: the caller comes again in any case.
        if let Ok(timeout) = Timespec::try_from(at_most) {
            let _ = poll(&mut descriptors, Some(&timeout));
        }
    }

    /// Reads what is there, but no more than `at_most` records, so that a flood leaves time for other work. Records of
    /// an unknown kind are passed over.
    pub fn read(&mut self, at_most: usize, mut each: impl FnMut(Record<'_>)) -> usize {
        let mut read = 0;
        while read < at_most
            && let Some(item) = self.ring.next()
        {
            read += 1;
            if let Some(record) = Record::parse(&item) {
                each(record);
            }
        }
        read
    }

    /// What the programs counted since they were loaded, all CPUs together.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn counters(&self) -> Result<Counters, FillError> {
        Counters::read(&self.counters)
    }

    fn reclaim(&mut self) {
        let now = Instant::now();
        let ranges = &mut self.ranges;
        self.given_up.retain(|(since, range)| {
            let busy = now.duration_since(*since) < GRACE;
            if !busy {
                ranges.give_back(range.clone());
            }
            busy
        });
    }
}

/// While this is held the kernel measures how long programs run, all of the machine's. Each run takes a little longer.
#[derive(Debug)]
pub struct RunTimes {
    _held: OwnedFd,
}

impl RunTimes {
    /// Lets the kernel measure.
    ///
    /// # Errors
    /// It refuses: CAP_SYS_ADMIN is needed.
    pub fn measure() -> Result<Self, FillError> {
        let held =
            aya::sys::enable_stats(aya::sys::Stats::RunTime).map_err(|error| FillError::System(error.io_error))?;
        Ok(Self { _held: held })
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Kernel").field("shortfalls", &self.shortfalls).finish_non_exhaustive()
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, LoadError> {
    ebpf.take_map(name).ok_or(LoadError::Object { missing: name })
}

fn array(ebpf: &mut Ebpf, name: &'static str) -> Result<MapData, LoadError> {
    match take(ebpf, name)? {
        Map::Array(data) => Ok(data),
        _ => Err(LoadError::Object { missing: name }),
    }
}
