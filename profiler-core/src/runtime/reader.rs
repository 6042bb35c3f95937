//! Reads the memory of processes, on a thread of its own: a page that is not there may be waited for, and some processes
//! would let others wait for ever. Nobody who samples waits for it, and who asks for names waits no longer than a second.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::memory::ProcessMemory;
use super::{AttachError, FileData, FunctionKey, Instance, MadeCode, Read};
use crate::kernel::{Frame, RuntimeProcess};
use crate::process::start_time;
use crate::symbolizer::{Function, Generations};

/// Functions that wait to be read. Those that come then are not named.
const MAX_WANTED: usize = 65_536;
/// Processes whose names are kept, also when they are gone.
const MAX_PROCESSES: usize = 16_384;
/// What is kept of functions, in bytes.
const MEMORY: usize = 32 << 20;
/// Remarks that are made, each once.
const MAX_REMARKS: usize = 64;
/// A name is waited for until so long after its function was sampled first.
const PATIENCE: Duration = Duration::from_secs(1);
/// A runtime that begins is ready some milliseconds later; then it is looked for less and less often.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// By then a runtime has begun, or is not understood.
const TRIES_BEFORE_REMARK: u32 = 12;

/// A runtime in a process, which is to be found.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) pid: u32,
    /// With its pid it is this process and no later one.
    pub(crate) start_time: u64,
    pub(crate) data: Arc<FileData>,
    /// Addresses in memory minus addresses in the runtime's file.
    pub(crate) bias: u64,
}

/// A runtime that was found.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) target: Target,
    pub(crate) process: RuntimeProcess,
    pub(crate) made_code: MadeCode,
}

/// What became of looking for runtimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Runtimes that were found.
    pub(crate) attached: u64,
    /// Those that could not be, until they were.
    pub(crate) refused: u64,
}

/// The thread ends with this, when it has done what it is at.
#[derive(Debug)]
pub(crate) struct Reader(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

type Key = (u64, FunctionKey);

#[derive(Debug)]
struct State {
    is_over: bool,
    attempts: Vec<Attempt>,
    wanted: VecDeque<(u32, Key)>,
    /// Of what is in `wanted` and what is read right now: since when.
    waiting: HashMap<Key, Instant>,
    processes: HashMap<u32, Known>,
    /// The number of the last process that was met.
    last: u64,
    answers: Generations<Key, Arc<Option<Read>>>,
    attached: Vec<Attached>,
    remarks: Vec<String>,
    /// What is not said again.
    remarked: HashSet<String>,
    counts: Counts,
}

#[derive(Debug)]
struct Attempt {
    target: Target,
    tries: u32,
    due: Instant,
}

/// A process in which a runtime was found.
#[derive(Debug)]
struct Known {
    number: u64,
    start_time: u64,
    instances: Vec<Arc<Instance>>,
    is_gone: bool,
}

enum Job {
    Attach(Attempt),
    Read { pid: u32, number: u64, start_time: u64, instances: Vec<Arc<Instance>>, functions: Vec<FunctionKey> },
}

impl Reader {
    /// # Errors
    /// There is no thread.
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("runtimes".to_owned()).spawn(move || for_thread.work())?;
        Ok(Self(shared))
    }

    /// Looks for a runtime until it is there or [`Reader::forget`] is called.
    pub(crate) fn attach(&self, target: Target) {
        let mut state = self.0.lock();
        if state.attempts.len() < MAX_PROCESSES {
            state.attempts.push(Attempt { target, tries: 0, due: Instant::now() });
            self.0.changed.notify_all();
        }
    }

    /// Forgets a process, save for the names that were read.
    pub(crate) fn forget(&self, pid: u32) {
        let mut state = self.0.lock();
        state.attempts.retain(|attempt| attempt.target.pid != pid);
        state.attached.retain(|attached| attached.target.pid != pid);
        if let Some(known) = state.processes.get_mut(&pid) {
            known.is_gone = true;
        }
    }

    /// What was found since the last call.
    pub(crate) fn take_attached(&self) -> Vec<Attached> {
        std::mem::take(&mut self.0.lock().attached)
    }

    /// Whether something is looked for that may be there at once.
    pub(crate) fn is_attaching(&self) -> bool {
        let state = self.0.lock();
        !state.attached.is_empty() || state.attempts.iter().any(|attempt| attempt.tries < TRIES_BEFORE_REMARK / 2)
    }

    /// Reads the functions of these frames, which were sampled just now.
    pub(crate) fn want(&self, frames: impl IntoIterator<Item = (u32, Frame)>) {
        let now = Instant::now();
        let mut state = self.0.lock();
        for (pid, frame) in frames {
            let Some(number) = state.processes.get(&pid).filter(|known| !known.is_gone).map(|known| known.number)
            else {
                continue;
            };
            let key = (number, FunctionKey::of(&frame));
            let is_full = state.wanted.len() >= MAX_WANTED;
            if !is_full && !state.waiting.contains_key(&key) && state.answers.get(&key).is_none() {
                state.waiting.insert(key, now);
                state.wanted.push_back((pid, key));
            }
        }
        if !state.wanted.is_empty() {
            self.0.changed.notify_all();
        }
    }

    /// The functions of a frame, where they are known; the innermost first.
    pub(crate) fn functions(&self, pid: u32, frame: &Frame, each: &mut dyn FnMut(Function<'_>)) {
        let mut state = self.0.lock();
        let Some(number) = state.processes.get(&pid).map(|known| known.number) else { return };
        let key = (number, FunctionKey::of(frame));
        let answer = loop {
            if let Some(answer) = state.answers.get(&key) {
                break answer;
            }
            let Some(left) = state.waiting.get(&key).and_then(|since| PATIENCE.checked_sub(since.elapsed())) else {
                return;
            };
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(state);
        if let Some(read) = &*answer {
            read.functions(frame.place, each);
        }
    }

    /// Remarks that were made since the last call, each once.
    pub(crate) fn take_remarks(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().remarks)
    }

    /// Says something once.
    pub(crate) fn remark(&self, text: String) {
        self.0.lock().remark(text.clone(), text);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().counts
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Not waited for: what it reads may never come.
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            match job {
                Job::Attach(attempt) => self.attach(attempt),
                Job::Read { pid, number, start_time, instances, functions } => {
                    self.read(pid, number, start_time, &instances, functions);
                }
            }
        }
    }

    /// Waits for something to do.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            let now = Instant::now();
            if let Some(due) = state.attempts.iter().position(|attempt| attempt.due <= now) {
                return Some(Job::Attach(state.attempts.swap_remove(due)));
            }
            if let Some(job) = state.next_read() {
                return Some(job);
            }
            let due = state.attempts.iter().map(|attempt| attempt.due).min();
            let pause = due.map_or(LONGEST_PAUSE, |due| due.saturating_duration_since(now));
            state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn attach(&self, mut attempt: Attempt) {
        let Target { pid, start_time: began, ref data, bias } = attempt.target;
        let is_there = || start_time(pid).ok() == Some(began);
        let memory = ProcessMemory::of(pid);
        if !is_there() {
            // The follower hears of it.
            return;
        }
        let found = memory.map(|memory| data.attach(&memory, pid, bias));
        let refuse = |state: &mut State, why: String| {
            state.counts.refused += 1;
            let runtime = data.name();
            let once = format!("{runtime}: {why}");
            state.remark(once, format!("{runtime} in process {pid} is shown as machine code: {why}"));
        };
        let mut state = self.lock();
        match found {
            Ok(Ok((process, instance))) => {
                let was_refused = attempt.tries >= TRIES_BEFORE_REMARK;
                state.counts.refused = state.counts.refused.saturating_sub(was_refused.into());
                state.counts.attached += 1;
                let made_code = instance.made_code();
                state.know(&attempt.target, instance);
                state.attached.push(Attached { target: attempt.target, process, made_code });
                self.changed.notify_all();
            }
            Err(error) => refuse(&mut state, format!("its memory cannot be read: {error}")),
            Ok(Err(AttachError::Unsupported(why))) => refuse(&mut state, why.to_string()),
            Ok(Err(AttachError::NotYet(why))) => {
                attempt.tries += 1;
                if attempt.tries == TRIES_BEFORE_REMARK {
                    refuse(&mut state, why.to_owned());
                }
                let pause = FIRST_PAUSE.saturating_mul(1 << attempt.tries.min(20)).min(LONGEST_PAUSE);
                attempt.due = Instant::now() + pause;
                state.attempts.push(attempt);
            }
        }
    }

    fn read(&self, pid: u32, number: u64, began: u64, instances: &[Arc<Instance>], functions: Vec<FunctionKey>) {
        let memory = ProcessMemory::of(pid).ok().filter(|_| start_time(pid).ok() == Some(began));
        for function in functions {
            let read = memory
                .as_ref()
                .and_then(|memory| instances.iter().find_map(|instance| instance.read(memory, function)));
            let cost = size_of::<(Key, Arc<Option<Read>>)>() + read.as_ref().map_or(0, Read::footprint);
            let mut state = self.lock();
            state.waiting.remove(&(number, function));
            state.answers.insert((number, function), Arc::new(read), cost);
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is whole after each of its calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The functions of one process that wait side by side.
    fn next_read(&mut self) -> Option<Job> {
        /// Fewer than would let a runtime that begins wait.
        const AT_ONCE: usize = 256;
        let (pid, (number, _)) = *self.wanted.front()?;
        let mut functions = Vec::new();
        while let Some((_, (_, function))) =
            self.wanted.pop_front_if(|(_, (next, _))| *next == number && functions.len() < AT_ONCE)
        {
            functions.push(function);
        }
        let known = self.processes.get(&pid).filter(|known| known.number == number && !known.is_gone);
        let (start_time, instances) =
            known.map_or((0, Vec::new()), |known| (known.start_time, known.instances.clone()));
        Some(Job::Read { pid, number, start_time, instances, functions })
    }

    fn know(&mut self, target: &Target, instance: Instance) {
        if self.processes.len() >= MAX_PROCESSES {
            self.processes.retain(|_, known| !known.is_gone);
        }
        let next = self.last + 1;
        let known = self.processes.entry(target.pid).or_insert_with(|| Known::new(next, target.start_time));
        if known.is_gone {
            *known = Known::new(next, target.start_time);
        }
        self.last = self.last.max(known.number);
        known.instances.push(Arc::new(instance));
    }

    fn remark(&mut self, once: String, text: String) {
        if self.remarked.len() < MAX_REMARKS && self.remarked.insert(once) {
            self.remarks.push(text);
        }
    }
}

impl Known {
    fn new(number: u64, start_time: u64) -> Self {
        Self { number, start_time, instances: Vec::new(), is_gone: false }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            is_over: false,
            attempts: Vec::new(),
            wanted: VecDeque::new(),
            waiting: HashMap::new(),
            processes: HashMap::new(),
            last: 0,
            answers: Generations::new(MEMORY),
            attached: Vec::new(),
            remarks: Vec::new(),
            remarked: HashSet::new(),
            counts: Counts::default(),
        }
    }
}
