//! Samples the machine: programs in the kernel, the processes they meet, the unwind tables of their files.

mod choice;
mod files;
mod follow;
mod goroutine_labels;
mod tables;
mod traces;

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::kernel::{
    self, Counters, FileRef, FillError, Frame, Kernel, KernelSettings, LoadError, Probe, Record, Runtimes, Shortfall,
};
use crate::runtime::Reader;
use crate::symbolizer::{Function, Symbolizer};
pub use choice::Choice;
pub use files::FileInfo;
use files::Names;
use follow::Follower;
use traces::Traces;
pub use traces::{Comm, Trace};

pub use crate::kernel::Origin;

/// What to sample.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Samples a second on each busy CPU: 1 to [`MAX_SAMPLE_RATE`].
    pub sample_rate: u32,
    /// Whose processes.
    pub scope: Scope,
    /// Whether stacks begin with the kernel's frames.
    pub kernel_frames: bool,
    /// What unwind tables may take in the kernel, in bytes. Without room for a file's, its frames are found by frame
    /// pointers.
    pub table_memory: u64,
    /// The probability with which a thread that leaves its CPU is sampled, with the time until it is back: 0 to 1.
    pub off_cpu_threshold: f64,
    /// Places at which threads are sampled when they come there.
    pub probes: Vec<Probe>,
    /// Runtimes whose own frames are walked and named.
    pub runtimes: Runtimes,
    /// Who is handed the files that are met, so that their names are known when they are asked for.
    pub symbolizer: Option<Arc<Symbolizer>>,
}

impl Settings {
    /// What does for a machine with browsers and compilers: 19 samples a second, kernel frames, 256 MiB for tables;
    /// what runs on CPUs alone, all runtimes, and no names of machine code.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self {
            sample_rate: 19,
            scope,
            kernel_frames: true,
            table_memory: 256 << 20,
            off_cpu_threshold: 0.0,
            probes: Vec::new(),
            runtimes: Runtimes::ALL,
            symbolizer: None,
        }
    }
}

/// Whose processes are sampled.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Scope {
    /// These alone.
    Pids(Vec<u32>),
    /// All that run.
    All,
    /// Those that run in these cgroups (v2) or below them, by the inodes of their folders; never threads of the kernel.
    Cgroups(Vec<u64>),
    /// Those of all that run which are chosen; never threads of the kernel.
    Chosen(Choice),
}

/// The kernel's own limit is 100,000 (`kernel.perf_event_max_sample_rate`), and far below it a machine does nothing
/// but be sampled.
pub const MAX_SAMPLE_RATE: u32 = 10_000;

/// Why there is no sampler. Each is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A rate that cannot be.
    #[error("a sample rate of {0}: it must be 1 to {MAX_SAMPLE_RATE}")]
    SampleRate(u32),
    /// A probability that is none.
    #[error("an off-CPU threshold of {0}: it must be 0 to 1")]
    OffCpuThreshold(f64),
    /// Too many cgroups.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// A process that is not there, or may not be looked at.
    #[error("the process {pid} cannot be sampled: {error}")]
    Process {
        /// Its pid.
        pid: u32,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] LoadError),
    /// No thread.
    #[error("the thread of the sampler cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// What the sampler did since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// What the kernel counted.
    pub kernel: Counters,
    /// How long the programs ran in the kernel, on all CPUs together: nothing but while [`kernel::RunTimes`] is held.
    pub in_kernel: Duration,
    /// Samples that were not kept because too many different stacks waited to be collected.
    pub dropped: u64,
    /// Samples that were kept without their labels, because their process had too many different ones since the last
    /// collection.
    pub unlabelled: u64,
    /// Processes that are unwound now.
    pub processes: u64,
    /// Processes that began to be unwound.
    pub began: u64,
    /// Processes that were unwound and are no more.
    pub ended: u64,
    /// Unwind tables that are in the kernel now.
    pub tables: u64,
    /// Rows in them.
    pub rows: u64,
    /// Files that have no unwind table, for want of information or because they cannot be read.
    pub files_without_table: u64,
    /// Times that the kernel refused mappings, a table or a runtime.
    pub refused: u64,
    /// Runtimes that were found in processes.
    pub runtimes: u64,
    /// Runtimes in processes whose frames cannot be walked: they are shown as machine code.
    pub runtimes_refused: u64,
}

/// Samples until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    reader: Arc<Reader>,
    shortfalls: Vec<Shortfall>,
    verified_instructions: Vec<(String, u32)>,
    scope: Scope,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and its callers both hold. Locks are held for as long as a batch of samples takes.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    traces: Mutex<Traces>,
    names: Mutex<Names>,
    statistics: Mutex<Statistics>,
    /// Taken by the thread.
    pids: Mutex<Option<HashSet<u32>>>,
    cgroups: Mutex<Option<HashSet<u64>>>,
    reconsider: AtomicBool,
    /// Later samples are not kept, by the clock of the programs; 0: all are.
    ends_at: AtomicU64,
}

impl Shared {
    fn keeps(&self, record: &Record<'_>) -> bool {
        let ends_at = self.ends_at.load(Ordering::Relaxed);
        !matches!(record, Record::Sample(sample) if ends_at > 0 && sample.time > ends_at)
    }
}

/// Nanoseconds, by the clock of the programs: since boot, without suspension.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).ok();
    // No clock at all: samples are kept, some twice.
    time.and_then(|time| u64::try_from(Duration::from(time).as_nanos()).ok()).unwrap_or_default()
}

/// A quarter of a second of a busy CPU at 997 Hz, with deep stacks.
const RING_BYTES_PER_CPU: u32 = 1 << 18;
const RING_BYTES: std::ops::RangeInclusive<u32> = 1 << 20..=1 << 26;

impl Sampler {
    /// Loads the programs, reads the memory of the processes that are named, and begins.
    ///
    /// # Errors
    /// Settings that cannot be; a process that is not there; what the kernel or the rights of this process lack.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        if !(1..=MAX_SAMPLE_RATE).contains(&settings.sample_rate) {
            return Err(StartError::SampleRate(settings.sample_rate));
        }
        if !(0.0..=1.0).contains(&settings.off_cpu_threshold) {
            return Err(StartError::OffCpuThreshold(settings.off_cpu_threshold));
        }
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let ring = u32::try_from(cpus).unwrap_or(u32::MAX).saturating_mul(RING_BYTES_PER_CPU);
        let mut kernel = Kernel::load(&KernelSettings {
            scope: match settings.scope {
                Scope::Pids(_) => kernel::Scope::Listed,
                Scope::All => kernel::Scope::All,
                Scope::Chosen(_) => kernel::Scope::Chosen,
                Scope::Cgroups(_) => kernel::Scope::Cgroups,
            },
            kernel_frames: settings.kernel_frames,
            off_cpu_threshold: settings.off_cpu_threshold,
            runtimes: settings.runtimes,
            ring_bytes: ring.clamp(*RING_BYTES.start(), *RING_BYTES.end()).next_power_of_two(),
        })?;
        let shared = Arc::new(Shared::default());
        let shortfalls = kernel.shortfalls().to_vec();
        let choice = if let Scope::Chosen(choice) = &settings.scope { Some(choice.clone()) } else { None };
        let reader = Arc::new(Reader::start().map_err(StartError::Thread)?);
        let mut follower =
            Follower::new(&shortfalls, settings, choice, Arc::clone(&reader)).map_err(StartError::Thread)?;
        match &settings.scope {
            Scope::Pids(pids) => {
                for pid in pids {
                    follower
                        .read_process(&mut kernel, &shared, *pid)
                        .map_err(|error| StartError::Process { pid: *pid, error })?;
                }
            }
            Scope::Cgroups(cgroups) => kernel.set_cgroups(&cgroups.iter().copied().collect())?,
            Scope::All | Scope::Chosen(_) => {}
        }
        for probe in &settings.probes {
            kernel.add_probe(probe)?;
        }
        kernel.begin(settings.sample_rate)?;
        let verified_instructions = kernel.verified_instructions();
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("sampler".to_owned())
            .spawn(move || run(kernel, follower, &for_thread))
            .map_err(StartError::Thread)?;
        Ok(Self {
            shared,
            reader,
            shortfalls,
            verified_instructions,
            scope: settings.scope.clone(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Samples these processes instead of those before, some tenths of a second from now, without losing a sample of
    /// those that stay. Has an effect on a sampler of [`Scope::Pids`] alone.
    pub fn set_pids(&self, pids: impl IntoIterator<Item = u32>) {
        if let Scope::Pids(_) = self.scope {
            *lock(&self.shared.pids) = Some(pids.into_iter().collect());
        }
    }

    /// Samples these cgroups instead of those before, some tenths of a second from now, without losing a sample of
    /// those that stay. Has an effect on a sampler of [`Scope::Cgroups`] alone.
    ///
    /// # Errors
    /// More than [`kernel::MAX_CGROUPS`]: those before stay.
    pub fn set_cgroups(&self, cgroups: impl IntoIterator<Item = u64>) -> Result<(), FillError> {
        let cgroups: HashSet<u64> = cgroups.into_iter().collect();
        if cgroups.len() > kernel::MAX_CGROUPS {
            return Err(FillError::Cgroups { given: cgroups.len() });
        }
        if let Scope::Cgroups(_) = self.scope {
            *lock(&self.shared.cgroups) = Some(cgroups);
        }
        Ok(())
    }

    /// Asks the [`Choice`] again, some tenths of a second from now, without losing a sample of the processes that it
    /// takes again. Those that it did not take are asked about when they run.
    pub fn reconsider(&self) {
        self.shared.reconsider.store(true, Ordering::Relaxed);
    }

    /// The stacks since the last call, each with how often it was seen.
    #[must_use]
    pub fn collect(&self) -> Vec<Trace> {
        lock(&self.shared.traces).take()
    }

    /// Ends sampling, which takes some tenths of a second. What was sampled before can still be collected, and its
    /// files be asked for; what is sampled meanwhile is left to whoever samples instead.
    pub fn stop(&self) {
        if !self.shared.stop.swap(true, Ordering::Relaxed) {
            self.shared.ends_at.store(now(), Ordering::Relaxed);
        }
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // What it panicked with is on standard error already.
            let _ = thread.join();
        }
    }

    /// The file that frames name. None of one that is long gone.
    #[must_use]
    pub fn file(&self, file: FileRef) -> Option<Arc<FileInfo>> {
        lock(&self.shared.names).get(file)
    }

    /// The functions of a runtime's frame, the innermost first. Nothing is called where none is known; then it is waited
    /// for, but no longer than a second after it was sampled first.
    pub fn functions(&self, pid: u32, frame: &Frame, each: &mut dyn FnMut(Function<'_>)) {
        self.reader.functions(pid, frame, each);
    }

    /// What there is to say of runtimes since the last call, each time in one line and once.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        self.reader.take_remarks()
    }

    /// Counts since the start; some seconds old at most.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        lock(&self.shared.statistics).clone()
    }

    /// What works less well for want of a right or a feature.
    #[must_use]
    pub fn shortfalls(&self) -> &[Shortfall] {
        &self.shortfalls
    }

    /// By program: how many instructions the verifier looked at, where the kernel says so.
    #[must_use]
    pub fn verified_instructions(&self) -> &[(String, u32)] {
        &self.verified_instructions
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The kernel wakes the thread when a process comes or goes and when its buffer fills; else it comes by itself.
const PAUSE: Duration = Duration::from_millis(200);
/// A new table is waited for, or a runtime.
const SHORT_PAUSE: Duration = Duration::from_millis(10);
/// Records between two looks at other work.
const BATCH: usize = 1024;
/// As many as the largest ring holds of the smallest samples.
const LAST_BATCHES: usize = 1024;

fn run(mut kernel: Kernel, mut follower: Follower, shared: &Shared) {
    let mut events = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        kernel.wait(if follower.is_waiting() { SHORT_PAUSE } else { PAUSE });
        loop {
            let read = {
                let mut traces = lock(&shared.traces);
                kernel.read(BATCH, |record| match follow::Event::of(&record) {
                    Some(event) => events.push(event),
                    None if shared.keeps(&record) => traces.add(&record),
                    None => {}
                })
            };
            for event in events.drain(..) {
                follower.handle(&mut kernel, shared, event);
            }
            let new = {
                let mut traces = lock(&shared.traces);
                traces.settle(&follower);
                traces.take_new()
            };
            follower.read_functions(new);
            if read < BATCH || shared.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        let pids = lock(&shared.pids).take();
        if let Some(pids) = pids {
            follower.follow_only(&mut kernel, shared, &pids);
        }
        let cgroups = lock(&shared.cgroups).take();
        if let Some(cgroups) = cgroups {
            follower.follow_cgroups(&mut kernel, &cgroups);
        }
        if shared.reconsider.swap(false, Ordering::Relaxed) {
            follower.reconsider(&mut kernel);
        }
        follower.tick(&mut kernel, shared);
    }
    // What the programs handed over until now.
    let mut traces = lock(&shared.traces);
    for _ in 0..LAST_BATCHES {
        let read = kernel.read(BATCH, |record| {
            if shared.keeps(&record) {
                traces.add(&record);
            }
        });
        traces.settle(&follower);
        if read < BATCH {
            break;
        }
    }
    follower.read_functions(traces.take_new());
    drop(traces);
    follower.count(&kernel, shared);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole after each of its calls.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
