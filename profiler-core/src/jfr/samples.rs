//! The samples of a recording: what its chunks count, by names instead of ids, each stack once.

use indexmap::IndexSet;

use super::Hasher;
use super::budget::Budget;
use super::error::Result;
use super::events::{Context, Event, Key, Sum, Tally};
use super::header::Header;
use super::kind::Kind;
use super::pools::{Frame, Pools};
use super::settings::Settings;
use super::stacks::Stacks;
use super::{IdMap, Options, names};
use crate::collection::UNKNOWN;
use crate::pprof::packed;

/// The outermost frame of stacks that are longer than what was recorded of them.
const TRUNCATED: &str = "[truncated]";
/// What an entry of a table takes besides what it points to.
const ENTRY: usize = 48;

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
        let locations = self.locations(&mut chunk)?;
        let mut stacks = vec![None; tally.needed.stacks.len()];
        let labels: Vec<u32> = tally.contexts.iter().map(|context| self.labels(*context, &chunk)).collect();
        // What is done with is gone before more is kept.
        drop(tally.needed);
        let (mut start, mut packed) = (0, Vec::new());
        for stack in &chunk.pools.stacks {
            let frames = chunk.pools.packed.get(start..stack.end as usize).unwrap_or_default();
            start = stack.end as usize;
            packed.clear();
            for frame in packed::numbers(frames) {
                let location = locations.get(frame as usize).copied().unwrap_or_default();
                packed::push(&mut packed, u64::from(location));
            }
            let place = self.stack(&mut packed, stack.is_truncated);
            // Constants are read from the last to the first: a later one with the same id holds.
            if let Some(known @ None) = stacks.get_mut(stack.place as usize) {
                *known = Some(place);
            }
        }
        (chunk.pools.stacks, chunk.pools.packed) = (Vec::new(), Vec::new());
        let mut missing = 0;
        for (key, sum) in tally.sums {
            let Some(stack) = stacks.get(key.stack as usize).copied().flatten() else {
                missing += sum.count;
                continue;
            };
            let labels = labels.get(key.context as usize).copied().unwrap_or_default();
            for (kind, sum) in chunk.kinds(key, sum).into_iter().flatten() {
                self.sums.push((Place { stack, labels, kind }, sum));
            }
        }
        self.sums.sort_unstable_by_key(|(place, _)| *place);
        self.sums.dedup_by(|(later, more), (place, sum)| {
            let is_same = later == place;
            if is_same {
                sum.count = sum.count.saturating_add(more.count);
                sum.amount = sum.amount.saturating_add(more.amount);
            }
            is_same
        });
        Ok(missing)
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
        for Frame { method, line } in &chunk.pools.frames {
            let function = match functions.get(method) {
                Some(function) => *function,
                None => {
                    let name = chunk.function(*method).unwrap_or_else(|| UNKNOWN.to_owned());
                    chunk.budget.take(name.len(), chunk.header.end)?;
                    let function = self.text(&name);
                    functions.insert(*method, function);
                    function
                }
            };
            locations.push(self.location(function, *line));
        }
        Ok(locations)
    }

    /// The place of a stack, which is marked where nothing, or not all, is known of it.
    fn stack(&mut self, packed: &mut Vec<u8>, is_truncated: bool) -> u32 {
        let marked = if is_truncated { Some(TRUNCATED) } else { packed.is_empty().then_some(UNKNOWN) };
        if let Some(name) = marked {
            let name = self.text(name);
            let location = self.location(name, 0);
            packed::push(packed, u64::from(location));
        }
        self.stacks.insert(packed)
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

    fn location(&mut self, function: u32, line: u32) -> u32 {
        index(self.locations.insert_full((function, line)).0)
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

    /// What samples of one kind count for.
    fn kinds(&self, key: Key, sum: Sum) -> [Option<(Kind, Sum)>; 2] {
        let state = self.pools.states.get(&u64::from(key.state)).and_then(|state| self.pools.text(state));
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
        match key.event {
            Event::Execution if is_wall => wall_and(sum.count, state != Some("STATE_SLEEPING")),
            // Recorded beside another event, the states of wall-clock samples are known, and those of others are not.
            Event::Execution if self.settings.wall.is_some() && state != Some("STATE_DEFAULT") => {
                [Some(wall(sum.count)), None]
            }
            Event::Execution => [(state != Some("STATE_SLEEPING")).then(|| cpu(sum.count)), None],
            Event::Wall => wall_and(sum.amount, is_wall && state == Some("STATE_RUNNABLE")),
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
