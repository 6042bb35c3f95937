//! The events of a chunk, added up by the ids of what they refer to: only then is anything known of those.

use indexmap::IndexSet;

use super::budget::Budget;
use super::error::{JfrError, Result};
use super::header::{HEADER, Header};
use super::layout::{Classes, Plan, Record, Wanted};
use super::places::{NOWHERE, Places};
use super::pools::CONSTANTS;
use super::reader::{Reader, Text};
use super::{Counts, Hasher};

/// The event that metadata is written as; only those behind it and constants tell of the program.
const METADATA: u64 = 0;
/// Of each class that is known there is one; a dozen are known.
const MOST_READINGS: usize = 32;
/// What an entry of a table takes.
const ENTRY: usize = 64;
/// Of the samples of a stack so many are looked at for one that says the same. Those beyond are counted again, and added up
/// with the others at last.
const MOST_STEPS: usize = 32;
/// The JDK knows some 20 states of threads. All further ones are one that has no name.
const MOST_STATES: usize = 255;
/// async-profiler writes some 40 of them, the JDK some 500.
const MOST_SETTINGS: usize = 1 << 14;

/// Events that become samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// A thread that was on a CPU or, where wall-clock time is recorded so, any thread.
    Execution,
    /// Some moments in which a thread was seen in the same place.
    Wall,
    /// An allocation for which the thread took new memory.
    AllocInNewTlab,
    /// An allocation too large for what a thread takes at once.
    AllocOutsideTlab,
    /// Some allocations, of which one was looked at.
    AllocSample,
    /// An object that is still there.
    LiveObject,
    /// Memory that native code took.
    Malloc,
    /// Memory that native code gave back. It is counted, and no profile.
    Free,
    /// Waiting for a monitor.
    MonitorEnter,
    /// Waiting, parked by a lock or a queue.
    ThreadPark,
}

impl Event {
    const ALL: [Self; 10] = [
        Self::Execution,
        Self::Wall,
        Self::AllocInNewTlab,
        Self::AllocOutsideTlab,
        Self::AllocSample,
        Self::LiveObject,
        Self::Malloc,
        Self::Free,
        Self::MonitorEnter,
        Self::ThreadPark,
    ];

    /// The class of these events in a recording.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Execution => "jdk.ExecutionSample",
            Self::Wall => "profiler.WallClockSample",
            Self::AllocInNewTlab => "jdk.ObjectAllocationInNewTLAB",
            Self::AllocOutsideTlab => "jdk.ObjectAllocationOutsideTLAB",
            Self::AllocSample => "jdk.ObjectAllocationSample",
            Self::LiveObject => "profiler.LiveObject",
            Self::Malloc => "profiler.Malloc",
            Self::Free => "profiler.Free",
            Self::MonitorEnter => "jdk.JavaMonitorEnter",
            Self::ThreadPark => "jdk.ThreadPark",
        }
    }
}

/// What is told apart among samples of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Its place in `Tally::contexts`.
    pub(super) context: u32,
    /// Its place in `Tally::states`.
    pub(super) state: u8,
    pub(super) event: Event,
}

/// Samples of a stack that say the same. There may be as many as events: it takes 32 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// The place of the first samples of the stack, which stands for the stack.
    pub(super) stack: u32,
    /// The place of others of the same stack.
    next: u32,
    pub(super) key: Key,
    pub(super) sum: Sum,
}

/// What becomes labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Context {
    pub(super) thread: u64,
    pub(super) context: u64,
    pub(super) span: u64,
    pub(super) span_name: u64,
}

/// How often, and how much together: bytes or ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) amount: u64,
}

impl Sum {
    pub(super) fn add(&mut self, more: Self) {
        self.count = self.count.saturating_add(more.count);
        self.amount = self.amount.saturating_add(more.amount);
    }
}

/// A setting, as it is written.
pub(super) struct WrittenSetting {
    /// The class of the events that it is for.
    pub(super) class: u64,
    pub(super) name: Text,
    pub(super) value: Text,
}

/// What the events of a chunk say.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) needed: Needed,
    pub(super) contexts: IndexSet<Context, Hasher>,
    /// Ids of states.
    pub(super) states: Vec<u64>,
    pub(super) counted: Vec<Counted>,
    pub(super) settings: Vec<WrittenSetting>,
}

/// What the events of a chunk refer to.
#[derive(Default)]
pub(super) struct Needed {
    /// The places of the first samples of each stack.
    pub(super) stacks: Places,
    pub(super) threads: IndexSet<u64, Hasher>,
}

/// Which labels samples have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) threads: bool,
    pub(super) contexts: bool,
}

enum Reading {
    Sample(Box<SampleReading>),
    Setting(Plan),
}

struct SampleReading {
    event: Event,
    plan: Plan,
    /// All events of a class have the same fields: one record serves all.
    record: Record,
    count: u64,
}

impl Tally {
    /// Reads all events of a chunk. Where some are damaged those before them are kept.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        header: &Header,
        classes: &mut Classes,
        told: Told,
        (counts, budget): (&mut Counts, &mut Budget),
    ) -> Result<()> {
        let mut readings = readings(classes, reader)?;
        let read = self.read_events(reader, header, &mut readings, told, (counts, budget));
        for (_, reading) in readings {
            if let Reading::Sample(sample) = reading
                && sample.count > 0
            {
                *counts.events.entry(sample.event).or_default() += sample.count;
            }
        }
        read
    }

    fn read_events(
        &mut self,
        reader: &mut Reader<'_>,
        header: &Header,
        readings: &mut [(u64, Reading)],
        told: Told,
        (counts, budget): (&mut Counts, &mut Budget),
    ) -> Result<()> {
        // They are a dozen: no table finds one faster.
        let classes: Vec<u64> = readings.iter().map(|(class, _)| *class).collect();
        let mut position = header.start + HEADER;
        reader.bound(header.end);
        while position < header.end {
            let (class, end) = next(reader, header, position)?;
            let known = classes.iter().position(|known| *known == class);
            match known.and_then(|place| readings.get_mut(place)) {
                Some((_, Reading::Sample(sample))) => {
                    if sample.event != Event::Free {
                        sample.plan.read(reader, &mut sample.record)?;
                        if reader.position() > end {
                            return Err(JfrError::CutShort(end));
                        }
                        self.add(sample, told, budget, end)?;
                    }
                    sample.count += 1;
                }
                Some((_, Reading::Setting(plan))) if self.settings.len() < MOST_SETTINGS => {
                    reader.bound(end);
                    self.add_setting(reader, plan, budget)?;
                    reader.bound(header.end);
                }
                _ if class > CONSTANTS => counts.skipped += 1,
                _ => {}
            }
            position = end;
        }
        Ok(())
    }

    #[inline]
    fn add(
        &mut self,
        SampleReading { event, record, .. }: &SampleReading,
        told: Told,
        budget: &mut Budget,
        offset: u64,
    ) -> Result<()> {
        let [stack, state, amount, thread, context, span, span_name] = record.numbers;
        let mut labels = Context::default();
        if told.threads {
            labels.thread = thread;
            self.needed.threads.insert(thread);
        }
        if told.contexts {
            labels = Context { context, span, span_name, ..labels };
        }
        let is_told = told.threads || told.contexts || self.contexts.is_empty();
        let (context, is_new) = if is_told { self.contexts.insert_full(labels) } else { (0, false) };
        if is_new {
            budget.take(ENTRY, offset)?;
        }
        let key = Key { context: context as u32, state: self.state(state), event: *event };
        let sum = Sum { count: 1, amount };
        let new = self.counted.len() as u32;
        let Some(first) = self.needed.stacks.at(stack) else {
            let bytes = self.needed.stacks.insert(stack, new);
            self.counted.push(Counted { stack: new, next: NOWHERE, key, sum });
            return budget.take(size_of::<Counted>() + bytes, offset);
        };
        let mut place = first;
        for _ in 0..MOST_STEPS {
            let Some(counted) = self.counted.get_mut(place as usize) else { break };
            if counted.key == key {
                counted.sum.add(sum);
                return Ok(());
            }
            place = counted.next;
        }
        let Some(head) = self.counted.get_mut(first as usize) else { return Ok(()) };
        let next = std::mem::replace(&mut head.next, new);
        self.counted.push(Counted { stack: first, next, key, sum });
        budget.take(size_of::<Counted>(), offset)
    }

    /// The place of a state.
    #[inline]
    fn state(&mut self, id: u64) -> u8 {
        let known = self.states.iter().position(|known| *known == id);
        let place = known.unwrap_or(self.states.len());
        if known.is_none() && place < MOST_STATES {
            self.states.push(id);
        }
        place as u8
    }

    fn add_setting(&mut self, reader: &mut Reader<'_>, plan: &Plan, budget: &mut Budget) -> Result<()> {
        let mut record = Record::default();
        plan.read(reader, &mut record)?;
        if let ([class, ..], [Some(name), Some(value)]) = (record.numbers, record.texts) {
            budget.take(ENTRY + name.len() + value.len(), reader.position())?;
            self.settings.push(WrittenSetting { class, name, value });
        }
        Ok(())
    }
}

/// Where the last event of metadata and the last one of constants are, of a chunk whose header does not say so.
pub(super) fn search(reader: &mut Reader<'_>, header: &Header) -> (Option<u64>, Option<u64>) {
    let (mut metadata, mut constants) = (None, None);
    let mut position = header.start + HEADER;
    reader.bound(header.end);
    // What is cut ends in the middle of an event.
    while let Ok((class, end)) = next(reader, header, position) {
        match class {
            METADATA => metadata = Some(position),
            CONSTANTS => constants = Some(position),
            _ => {}
        }
        position = end;
    }
    (metadata, constants)
}

/// The class of the event at a position, and where it ends; the reader stands behind the class, and is bound to the chunk.
#[inline]
fn next(reader: &mut Reader<'_>, header: &Header, position: u64) -> Result<(u64, u64)> {
    reader.seek(position);
    let size = reader.int()?;
    let end = position.saturating_add(size);
    if size == 0 {
        return Err(JfrError::Damaged { offset: position, what: "an event takes no bytes" });
    }
    if end > header.end {
        return Err(JfrError::CutShort(header.end));
    }
    Ok((reader.long()?, end))
}

fn readings(classes: &mut Classes, reader: &Reader<'_>) -> Result<Vec<(u64, Reading)>> {
    let known = classes.names().filter_map(|(id, name)| Some((id, Known::of(name)?)));
    let known: Vec<_> = known.take(MOST_READINGS).collect();
    let mut readings = Vec::new();
    for (id, known) in known {
        let reading = match known {
            Known::Setting => {
                let wanted = Wanted { numbers: &["id"], texts: &["name", "value"] };
                Reading::Setting(classes.plan(id, wanted, reader)?.without_rest())
            }
            Known::Sample { event, thread, amount } => {
                let numbers = &["stackTrace", "state", amount, thread, "contextId", "spanId", "spanName"];
                let wanted = Wanted { numbers, texts: &[] };
                let plan = classes.plan(id, wanted, reader)?.without_rest();
                Reading::Sample(Box::new(SampleReading { event, plan, record: Record::default(), count: 0 }))
            }
        };
        readings.push((id, reading));
    }
    Ok(readings)
}

/// What is known of events by the name of their class.
enum Known {
    Setting,
    Sample {
        event: Event,
        thread: &'static str,
        /// The field of how much a sample stands for.
        amount: &'static str,
    },
}

impl Known {
    fn of(class: &str) -> Option<Self> {
        if class == "jdk.ActiveSetting" {
            return Some(Self::Setting);
        }
        let event = Event::ALL.into_iter().find(|event| event.class() == class)?;
        let amount = match event {
            Event::Execution | Event::Free => "",
            Event::Wall => "samples",
            Event::AllocInNewTlab => "tlabSize",
            Event::AllocOutsideTlab | Event::LiveObject => "allocationSize",
            Event::AllocSample => "weight",
            Event::Malloc => "size",
            Event::MonitorEnter | Event::ThreadPark => "duration",
        };
        let is_of_other_thread = matches!(event, Event::Execution | Event::Wall);
        let thread = if is_of_other_thread { "sampledThread" } else { "eventThread" };
        Some(Self::Sample { event, thread, amount })
    }
}
