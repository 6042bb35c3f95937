//! The constants of a chunk, of which its events name only ids: stacks, methods, threads, texts.

use std::collections::hash_map::Entry;

use indexmap::IndexSet;

use super::budget::Budget;
use super::error::{JfrError, Result};
use super::header::{HEADER, Header};
use super::layout::{Classes, Plan, Record, Wanted};
use super::reader::{Reader, Text};
use super::{Hasher, IdMap};
use crate::pprof::packed;

/// The event that constants are written as.
pub(super) const CONSTANTS: u64 = 1;
/// What an entry of a table takes besides what it points to.
const ENTRY: usize = 48;
/// Marks a stack whose outermost frames were not recorded.
const TRUNCATED: u64 = 1;

/// What the events of a chunk refer to.
#[derive(Default)]
pub(super) struct Needed {
    pub(super) stacks: IndexSet<u64, Hasher>,
    pub(super) threads: IndexSet<u64, Hasher>,
}

/// A line of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Frame {
    pub(super) method: u64,
    pub(super) line: u32,
}

/// What is kept of the constants.
#[derive(Default)]
pub(super) struct Pools {
    /// Each frame of the stacks that are needed, once.
    pub(super) frames: IndexSet<Frame, Hasher>,
    pub(super) stacks: Vec<Stack>,
    /// The places of the stacks' frames, the innermost first: most take one or two bytes.
    pub(super) packed: Vec<u8>,
    /// The ids of a class and of a symbol.
    pub(super) methods: IdMap<(u64, u64)>,
    /// The id of a symbol.
    pub(super) classes: IdMap<u64>,
    pub(super) symbols: IdMap<Text>,
    pub(super) states: IdMap<Text>,
    pub(super) threads: IdMap<Text>,
    /// `java.lang.String`: what other texts may refer to.
    pub(super) texts: IdMap<Text>,
}

/// One stack of a chunk.
pub(super) struct Stack {
    /// That of its id in `Needed::stacks`.
    pub(super) place: u32,
    /// Where its frames end in `Pools::packed`; they begin where those of the stack before it end.
    pub(super) end: u32,
    /// The outermost frames are missing.
    pub(super) is_truncated: bool,
}

/// How to read the entries of one pool.
enum Entries {
    Stacks(Box<[Plan; 3]>),
    Values(Pool, Plan),
}

#[derive(Debug, Clone, Copy)]
enum Pool {
    Methods,
    Classes,
    Symbols,
    States,
    Threads,
    Texts,
    Unneeded,
}

impl Pools {
    /// Reads all constants of a chunk, of which the last ones stand at `last`: each event of constants says where the
    /// one before it is. Where some are damaged those behind them are kept.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        (header, last): (&Header, u64),
        classes: &mut Classes,
        needed: &Needed,
        budget: &mut Budget,
    ) -> Result<()> {
        let mut entries: IdMap<Entries> = IdMap::default();
        // Each frame has the same fields: one record serves all.
        let mut record = Record::default();
        let (mut position, mut end) = (last, header.end);
        loop {
            reader.bound(end);
            reader.seek(position);
            let size = reader.int()?;
            // They do not overlap, so that no byte is read twice.
            reader.bound(position.saturating_add(size).min(end));
            if reader.long()? != CONSTANTS {
                return Err(JfrError::Damaged { offset: position, what: "no constants are where they should be" });
            }
            let (_start, _duration, to_previous) = (reader.long()?, reader.long()?, reader.long()?);
            let _kind = reader.byte()?;
            for _ in 0..reader.int()? {
                let class = reader.long()?;
                let count = reader.int()?;
                let entries: &Entries = match entries.entry(class) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(Entries::plan(class, classes, reader)?),
                };
                for _ in 0..count {
                    let id = reader.long()?;
                    match entries {
                        Entries::Stacks(plans) => {
                            let place = needed.stacks.get_index_of(&id);
                            self.read_stack(reader, plans, (place, &mut record), budget)?;
                        }
                        Entries::Values(pool, plan) => {
                            self.read_value(reader, (*pool, plan), id, needed, budget)?;
                        }
                    }
                }
            }
            if to_previous == 0 {
                return Ok(());
            }
            let previous = position.checked_add_signed(to_previous.cast_signed());
            let previous = previous.filter(|at| (header.start + HEADER..position).contains(at));
            end = position;
            position = previous.ok_or(JfrError::Damaged {
                offset: position,
                what: "the constants before these are said to be outside the chunk, or behind these",
            })?;
        }
    }

    fn read_value(
        &mut self,
        reader: &mut Reader<'_>,
        (pool, plan): (Pool, &Plan),
        id: u64,
        needed: &Needed,
        budget: &mut Budget,
    ) -> Result<()> {
        let offset = reader.position();
        let mut record = Record::default();
        plan.read(reader, &mut record)?;
        let ([first, second, ..], [text, other]) = (record.numbers, record.texts);
        let is_kept = match pool {
            Pool::Unneeded => false,
            Pool::Threads => needed.threads.contains(&id),
            _ => true,
        };
        if !is_kept {
            return Ok(());
        }
        let length = |text: &Option<Text>| text.as_ref().map_or(0, Text::len);
        budget.take(ENTRY + length(&text) + length(&other), offset)?;
        // Events of constants are read from the last to the first: what is known already is later.
        match pool {
            Pool::Methods => {
                self.methods.entry(id).or_insert((first, second));
            }
            Pool::Classes => {
                self.classes.entry(id).or_insert(first);
            }
            Pool::Symbols => keep(&mut self.symbols, id, text),
            Pool::States => keep(&mut self.states, id, text),
            // A thread that is not one of Java has only the name that the kernel knows.
            Pool::Threads => keep(&mut self.threads, id, text.filter(|text| text.len() > 0).or(other)),
            Pool::Texts => keep(&mut self.texts, id, text),
            Pool::Unneeded => {}
        }
        Ok(())
    }

    /// Passes over a stack that has no place here.
    fn read_stack(
        &mut self,
        reader: &mut Reader<'_>,
        [before, frame, after]: &[Plan; 3],
        (place, record): (Option<usize>, &mut Record),
        budget: &mut Budget,
    ) -> Result<()> {
        let offset = reader.position();
        let mut stack = Record::default();
        before.read(reader, &mut stack)?;
        for _ in 0..reader.int()? {
            frame.read(reader, record)?;
            if place.is_some() {
                let [method, line, ..] = record.numbers;
                let (frame, is_new) = self.frames.insert_full(Frame { method, line: line_number(line) });
                if is_new {
                    budget.take(ENTRY, offset)?;
                }
                let before = self.packed.len();
                packed::push(&mut self.packed, frame as u64);
                budget.take(self.packed.len() - before, offset)?;
            }
        }
        after.read(reader, &mut stack)?;
        if let Some(place) = place.and_then(|place| u32::try_from(place).ok()) {
            budget.take(ENTRY, offset)?;
            let is_truncated = stack.numbers[0] == TRUNCATED;
            self.stacks.push(Stack { place, end: self.packed.len() as u32, is_truncated });
        }
        Ok(())
    }
}

impl Entries {
    fn plan(class: u64, classes: &mut Classes, reader: &Reader<'_>) -> Result<Self> {
        const NUMBERS: [Wanted<'_>; 2] =
            [Wanted { numbers: &["truncated"], texts: &[] }, Wanted { numbers: &["method", "lineNumber"], texts: &[] }];
        let (pool, numbers, texts): (_, &[&str], &[&str]) = match classes.name(class).unwrap_or_default() {
            "jdk.types.StackTrace" => {
                return Ok(Self::Stacks(Box::new(classes.plan_around(class, "frames", NUMBERS, reader)?)));
            }
            "jdk.types.Method" => (Pool::Methods, &["type", "name"], &[]),
            "java.lang.Class" => (Pool::Classes, &["name"], &[]),
            "jdk.types.Symbol" => (Pool::Symbols, &[], &["string"]),
            "jdk.types.ThreadState" => (Pool::States, &[], &["name"]),
            "java.lang.Thread" => (Pool::Threads, &[], &["javaName", "osName"]),
            "java.lang.String" => (Pool::Texts, &[], &["value"]),
            _ => (Pool::Unneeded, &[], &[]),
        };
        Ok(Self::Values(pool, classes.plan(class, Wanted { numbers, texts }, reader)?))
    }
}

fn keep(pool: &mut IdMap<Text>, id: u64, text: Option<Text>) {
    if let Some(text) = text {
        pool.entry(id).or_insert(text);
    }
}

/// Methods without lines have 0, or -1 in 32 bits.
fn line_number(line: u64) -> u32 {
    i32::try_from(line).map_or(0, i32::unsigned_abs)
}

impl Pools {
    /// What a text says, wherever it is.
    pub(super) fn text<'t>(&'t self, text: &'t Text) -> Option<&'t str> {
        match text {
            Text::Here(text) => Some(text),
            Text::Pooled(id) => match self.texts.get(id)? {
                Text::Here(text) => Some(text),
                Text::Pooled(_) => None,
            },
        }
    }
}
