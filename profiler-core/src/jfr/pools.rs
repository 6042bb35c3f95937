//! The constants of a chunk, of which its events name only ids: stacks, methods, threads, texts.

use std::collections::hash_map::Entry;

use indexmap::IndexSet;

use super::budget::Budget;
use super::error::{JfrError, Result};
use super::events::Needed;
use super::header::{HEADER, Header};
use super::layout::{Classes, Plan, Record, Wanted};
use super::reader::{Reader, Text};
use super::{Hasher, IdMap};
use crate::pprof::packed;

/// The event that constants are written as.
pub(super) const CONSTANTS: u64 = 1;
/// What an entry of a table takes besides what it points to.
const ENTRY: usize = 48;
/// Bytes that a frame takes in a recording, for each that it takes here.
const LEAST_FRAME: u64 = 2;
/// A power of two; it takes 96 KiB.
const RECENT: usize = 4096;
/// Marks a stack whose outermost frames were not recorded.
const TRUNCATED: u64 = 1;

/// What a stack consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Frame {
    /// A line of a method.
    Of { method: u64, line: u32 },
    /// In the place of the outermost frames that were not recorded.
    Truncated,
    /// The one frame of a stack that has none.
    Unknown,
}

/// What is kept of the constants.
#[derive(Default)]
pub(super) struct Pools {
    /// Each frame of the stacks that are needed, once.
    pub(super) frames: IndexSet<Frame, Hasher>,
    recent: RecentFrames,
    stacks: Frames,
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

/// The stacks of a chunk, one after the other.
#[derive(Default)]
pub(super) struct Frames {
    /// The places of their frames, the innermost first: most take one or two bytes.
    pub(super) packed: Vec<u8>,
    pub(super) stacks: Vec<Stack>,
}

/// One stack of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stack {
    /// That of its id in `Needed::stacks`.
    pub(super) place: u32,
    /// Where its frames end; they begin where those of the stack before it end.
    pub(super) end: u32,
}

/// The places of frames that were seen of late, by their hash: stacks share most of their frames with those before.
struct RecentFrames(Box<[(Frame, u32); RECENT]>);

impl Default for RecentFrames {
    fn default() -> Self {
        Self(Box::new([(Frame::Unknown, 0); RECENT]))
    }
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
        // Of a frame's bytes most become one or two. What is not used of it is never touched.
        let room = header.end.saturating_sub(last).min(budget.left()) / LEAST_FRAME;
        self.stacks.packed.reserve(usize::try_from(room).unwrap_or_default());
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
                if matches!(entries, Entries::Stacks(_)) {
                    let stacks = usize::try_from(count).unwrap_or(usize::MAX).min(needed.stacks.len());
                    self.stacks.stacks.reserve(stacks);
                }
                for _ in 0..count {
                    let id = reader.long()?;
                    match entries {
                        Entries::Stacks(plans) => {
                            let place = needed.stacks.at(id);
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
        (place, record): (Option<u32>, &mut Record),
        budget: &mut Budget,
    ) -> Result<()> {
        let offset = reader.position();
        let mut stack = Record::default();
        before.read(reader, &mut stack)?;
        let (start, count) = (self.stacks.packed.len(), reader.int()?);
        for _ in 0..count {
            frame.read(reader, record)?;
            if place.is_some() {
                let [method, line, ..] = record.numbers;
                self.push(Frame::Of { method, line: line_number(line) }, budget, offset)?;
            }
        }
        after.read(reader, &mut stack)?;
        let Some(place) = place else { return Ok(()) };
        match stack.numbers[0] {
            TRUNCATED => self.push(Frame::Truncated, budget, offset)?,
            _ if count == 0 => self.push(Frame::Unknown, budget, offset)?,
            _ => {}
        }
        budget.take(size_of::<Stack>() + self.stacks.packed.len() - start, offset)?;
        let end = self.stacks.packed.len() as u32;
        self.stacks.stacks.push(Stack { place, end });
        Ok(())
    }

    /// Adds a frame to the stack that is read. What its place takes is paid for with the stack: a recording has more bytes
    /// for it.
    #[inline]
    fn push(&mut self, frame: Frame, budget: &mut Budget, offset: u64) -> Result<()> {
        let place = match self.recent.slot(frame) {
            Some((recent, place)) if *recent == frame => *place,
            slot => {
                let (place, is_new) = self.frames.insert_full(frame);
                if let Some(slot) = slot {
                    *slot = (frame, place as u32);
                }
                if is_new {
                    budget.take(ENTRY, offset)?;
                }
                place as u32
            }
        };
        packed::push(&mut self.stacks.packed, u64::from(place));
        Ok(())
    }
}

impl RecentFrames {
    #[inline]
    fn slot(&mut self, frame: Frame) -> Option<&mut (Frame, u32)> {
        let Frame::Of { method, line } = frame else { return None };
        // Of a product the upper bits depend on all bits of both.
        let product = (method ^ u64::from(line).rotate_right(24)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0.get_mut((product >> (u64::BITS - RECENT.trailing_zeros())) as usize)
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
    /// The stacks, which are no more here.
    pub(super) fn take_frames(&mut self) -> Frames {
        std::mem::take(&mut self.stacks)
    }

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
