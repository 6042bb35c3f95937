//! The samples of a recording: what its chunks count, by names instead of ids, each stack once.

use indexmap::IndexSet;

use super::Hasher;
use super::budget::Budget;
use super::error::Result;
use super::events::{Context, Counted, Event, Sum, Tally};
use super::header::Header;
use super::kind::Kind;
use super::places::NOWHERE;
use super::pools::{Frame, Frames, Pools, Stack};
use super::settings::Settings;
use super::stacks::Stacks;
use super::{IdMap, Options, names};
use crate::collection::UNKNOWN;

/// The outermost frame of stacks that are longer than what was recorded of them.
const TRUNCATED: &str = "[truncated]";
/// What an entry of a table takes besides what it points to.
const ENTRY: usize = 48;

/// What threads did when they were seen, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Runnable,
    Sleeping,
    /// Where the state is not asked for.
    Default,
    Other,
}

/// Tables that samples point into by places.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) texts: IndexSet<Box<str>, Hasher>,
    text_bytes: usize,
    /// A function's name and a line.
    pub(super) locations: IndexSet<(u32, u32), Hasher>,
    /// Of locations, the innermost first.
    pub(super) stacks: Stacks,
    /// Names and values.
    pub(super) labels: IndexSet<Box<[(u32, u32)]>, Hasher>,
    /// In the order of their places, each of them once.
    pub(super) sums: Vec<(Place, Sum)>,
}

/// What is told apart among samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) stack: u32,
    pub(super) labels: u32,
    pub(super) kind: Kind,
}

/// What a chunk says, and what is asked of it.
pub(super) struct Chunk<'c> {
    pub(super) header: &'c Header,
    pub(super) settings: &'c Settings,
    pub(super) options: &'c Options,
    pub(super) pools: Pools,
    /// Names are put together of parts that many may share.
    pub(super) budget: Budget,
}

impl Samples {
    /// Adds what a chunk counts, and says how many of its samples have a stack that is not there: they are left out.
    pub(super) fn add(&mut self, tally: Tally, mut chunk: Chunk<'_>) -> Result<u64> {
        let is_first = self.locations.is_empty();
        let locations = self.locations(&mut chunk)?;
        let Tally { needed, contexts, counted, states, .. } = tally;
        let labels: Vec<u32> = contexts.iter().map(|context| self.labels(*context, &chunk)).collect();
        // What is done with is gone before more is kept.
        drop(needed);
        let mut stacks = vec![NOWHERE; counted.len()];
        // Constants are read from the last to the first: a later one with the same id holds.
        let placed = |stack: Stack, place| {
            if let Some(known) = stacks.get_mut(stack.place as usize)
                && *known == NOWHERE
            {
                *known = place;
            }
        };
        let Frames { packed, stacks: of_chunk } = chunk.pools.take_frames();
        if is_first {
            self.stacks.adopt(packed, of_chunk, &locations, placed);
        } else {
            self.stacks.add(&packed, of_chunk, &locations, placed);
        }
        let states: Vec<State> = states.iter().map(|id| chunk.state(*id)).collect();
        let (mut missing, mut more) = (0, Vec::new());
        let sums = counted.into_iter().filter_map(|Counted { stack, key, sum, .. }| {
            let stack = stacks.get(stack as usize).copied().filter(|stack| *stack != NOWHERE);
            let Some(stack) = stack else {
                missing += sum.count;
                return None;
            };
            let labels = labels.get(key.context as usize).copied().unwrap_or_default();
            let state = states.get(usize::from(key.state)).copied().unwrap_or(State::Other);
            let [first, second] = chunk.kinds(key.event, state, sum);
            let placed = |(kind, sum)| (Place { stack, labels, kind }, sum);
            more.extend(second.map(placed));
            first.map(placed)
        });
        if self.sums.is_empty() {
            // In the same memory: an entry takes as much as before.
            self.sums = sums.collect();
        } else {
            self.sums.extend(sums);
        }
        self.sums.append(&mut more);
        self.sums.sort_unstable_by_key(|(place, _)| *place);
        self.sums.dedup_by(|(later, more), (place, sum)| {
            let is_same = later == place;
            if is_same {
                sum.add(*more);
            }
            is_same
        });
        Ok(missing)
    }

    /// After the last chunk.
    pub(super) fn finish(&mut self) {
        self.stacks.finish();
    }

    /// What is kept, in bytes, roughly.
    pub(super) fn bytes(&self) -> u64 {
        let entries = self.texts.len() + self.locations.len() + self.labels.len() + self.sums.len();
        (self.text_bytes + self.stacks.bytes() + entries * ENTRY) as u64
    }

    /// A location for each frame of the chunk, in the order of its table.
    fn locations(&mut self, chunk: &mut Chunk<'_>) -> Result<Vec<u32>> {
        let mut functions = IdMap::default();
        let mut locations = Vec::with_capacity(chunk.pools.frames.len());
        for frame in &chunk.pools.frames {
            let location = match frame {
                Frame::Truncated => (self.text(TRUNCATED), 0),
                Frame::Unknown => (self.text(UNKNOWN), 0),
                Frame::Of { method, line } => match functions.get(method) {
                    Some(function) => (*function, *line),
                    None => {
                        let name = chunk.function(*method).unwrap_or_else(|| UNKNOWN.to_owned());
                        chunk.budget.take(name.len(), chunk.header.end)?;
                        let function = self.text(&name);
                        functions.insert(*method, function);
                        (function, *line)
                    }
                },
            };
            locations.push(index(self.locations.insert_full(location).0));
        }
        Ok(locations)
    }

    fn labels(&mut self, context: Context, chunk: &Chunk<'_>) -> u32 {
        let mut labels = Vec::new();
        let mut label = |name: &str, value: &str| {
            let label = (self.text(name), self.text(value));
            labels.push(label);
        };
        if let Some(name) = chunk.pools.threads.get(&context.thread).and_then(|name| chunk.pools.text(name)) {
            label("thread", name);
        }
        if let Some(known) = &chunk.options.contexts {
            for (name, value) in known.labels(context.context) {
                label(name, value);
            }
            if context.span != 0 {
                label("profile_id", &format!("{:016x}", context.span));
            }
            if let Some(name) = known.text(context.span_name) {
                label("span_name", name);
            }
        }
        index(self.labels.insert_full(labels.into()).0)
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(place) = self.texts.get_index_of(text) {
            return index(place);
        }
        self.text_bytes += text.len();
        index(self.texts.insert_full(text.into()).0)
    }
}

impl Chunk<'_> {
    /// `None` where nothing is known of a method.
    fn function(&self, method: u64) -> Option<String> {
        let symbol = |id| self.pools.text(self.pools.symbols.get(id)?);
        let (class, name) = self.pools.methods.get(&method)?;
        let class = self.pools.classes.get(class).and_then(symbol).unwrap_or_default();
        let name = symbol(name).filter(|name| !name.is_empty())?;
        Some(names::function(class, name, self.options.dotted_names))
    }

    fn state(&self, id: u64) -> State {
        match self.pools.states.get(&id).and_then(|state| self.pools.text(state)) {
            Some("STATE_RUNNABLE") => State::Runnable,
            Some("STATE_SLEEPING") => State::Sleeping,
            Some("STATE_DEFAULT") => State::Default,
            _ => State::Other,
        }
    }

    /// What samples of one kind count for.
    fn kinds(&self, event: Event, state: State, sum: Sum) -> [Option<(Kind, Sum)>; 2] {
        let is_wall = self.settings.is_wall();
        let cpu = |count| (Kind::Cpu, periods(count, self.settings.cpu_period()));
        let wall = |count| (Kind::Wall, periods(count, self.settings.wall_period()));
        let wall_and = |count, on_cpu: bool| {
            // Threads that were seen running at these moments are the best that is known of the CPU.
            let (_, as_cpu) = wall(count);
            [Some(wall(count)), on_cpu.then_some((Kind::Cpu, as_cpu))]
        };
        let one = |kind| [Some((kind, sum)), None];
        let nanos = |kind| {
            let amount = u64::try_from(self.header.nanos(sum.amount)).unwrap_or_default();
            [Some((kind, Sum { amount, ..sum })), None]
        };
        match event {
            Event::Execution if is_wall => wall_and(sum.count, state != State::Sleeping),
            // Recorded beside another event, the states of wall-clock samples are known, and those of others are not.
            Event::Execution if self.settings.wall.is_some() && state != State::Default => {
                [Some(wall(sum.count)), None]
            }
            Event::Execution => [(state != State::Sleeping).then(|| cpu(sum.count)), None],
            Event::Wall => wall_and(sum.amount, is_wall && state == State::Runnable),
            Event::AllocInNewTlab => one(Kind::AllocInNewTlab),
            Event::AllocOutsideTlab => one(Kind::AllocOutsideTlab),
            Event::AllocSample => one(Kind::AllocSample),
            Event::LiveObject => one(Kind::Live),
            Event::Malloc => one(Kind::Malloc),
            Event::Free => [None, None],
            Event::MonitorEnter => nanos(Kind::Mutex),
            Event::ThreadPark => nanos(Kind::Block),
        }
    }
}

/// Time is all that samples of it say: it stands where others have their count.
fn periods(count: u64, period: u64) -> Sum {
    Sum { count: count.saturating_mul(period), amount: 0 }
}

/// Tables are bounded by a budget far below what this holds.
fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
