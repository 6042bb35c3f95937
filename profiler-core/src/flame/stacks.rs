//! Many stacks added to a tree at once: sorted by what they begin with, from the outermost function inwards, so that each
//! line of callers is looked up once however many samples have it. What is worked on at a time lies close together in
//! memory; looking each step of each stack up in one large table costs several times as much.
//!
//! What is wide enough to be seen comes first: where there is no room for all, the narrowest are cut short.

use super::message::Frames;
use super::{Place, ROOT, Side, TreeBuilder};

/// Stacks of locations and their values.
pub(super) struct Stacks {
    /// Of all stacks, one after the other, the outermost location first.
    frames: Vec<u32>,
    stacks: Vec<Stack>,
}

#[derive(Clone, Copy)]
struct Stack {
    /// From where to where its frames go.
    begin: u32,
    end: u32,
    value: u64,
}

/// Groups of less than this part of all values wait until the others are in the tree.
const NARROW: u64 = 4096;

/// Stacks that begin alike.
struct Group {
    /// From where to where they stand in the order.
    begin: usize,
    end: usize,
    /// How many of their frames are in the tree already.
    depth: u32,
    /// Where these lead.
    place: Place,
}

impl Stacks {
    /// Bytes that a stack takes besides its frames.
    pub(super) const EACH: usize = size_of::<Stack>() + size_of::<u64>();

    pub(super) fn with_capacity(stacks: usize) -> Self {
        Self { frames: Vec::new(), stacks: Vec::with_capacity(stacks) }
    }

    /// Adds one, the innermost location first.
    pub(super) fn push(&mut self, stack: &[u32], value: u64) {
        let begin = self.frames.len() as u32;
        self.frames.extend(stack.iter().rev());
        self.stacks.push(Stack { begin, end: self.frames.len() as u32, value });
    }

    fn frame(&self, stack: &Stack, depth: u32) -> Option<u32> {
        let place = stack.begin.checked_add(depth).filter(|place| *place < stack.end)?;
        self.frames.get(place as usize).copied()
    }

    /// The values of those in these slots.
    fn sum(&self, slots: &[u64]) -> u64 {
        let values = slots.iter().filter_map(|slot| self.stack(*slot)).map(|stack| stack.value);
        values.fold(0, u64::saturating_add)
    }

    fn stack(&self, slot: u64) -> Option<&Stack> {
        self.stacks.get(slot as u32 as usize)
    }
}

impl TreeBuilder {
    pub(super) fn add_stacks(&mut self, stacks: &Stacks, frames: &Frames, side: Side) {
        // Places of stacks; above each its frame at the depth that its group is at, from 1.
        let mut order: Vec<u64> = (0..stacks.stacks.len() as u64).collect();
        let narrow = stacks.sum(&order) / NARROW;
        let all = Group { begin: 0, end: order.len(), depth: 0, place: ROOT };
        let later = self.add_groups(vec![all], narrow, &mut order, stacks, frames, side);
        self.add_groups(later, 0, &mut order, stacks, frames, side);
    }

    /// Adds these groups but for those in them whose values are less than `narrow`, and hands these back.
    fn add_groups(
        &mut self,
        mut groups: Vec<Group>,
        narrow: u64,
        order: &mut [u64],
        stacks: &Stacks,
        frames: &Frames,
        side: Side,
    ) -> Vec<Group> {
        let mut later = Vec::new();
        while let Some(Group { begin, end, depth, place }) = groups.pop() {
            let Some(group) = order.get_mut(begin..end) else { continue };
            if let [alone] = group {
                let Some(stack) = stacks.stack(*alone) else { continue };
                let place = self.add_rest(stacks, stack, depth, place, frames);
                self.count(place, stack.value, side);
                continue;
            }
            for slot in group.iter_mut() {
                let frame = stacks.stack(*slot).and_then(|stack| stacks.frame(stack, depth));
                *slot = frame.map_or(0, |frame| u64::from(frame) + 1) << 32 | u64::from(*slot as u32);
            }
            group.sort_unstable();
            let mut from = begin;
            for alike in group.chunk_by(|a, b| a >> 32 == b >> 32) {
                let to = from + alike.len();
                let frame = alike.first().and_then(|slot| u32::try_from((slot >> 32).checked_sub(1)?).ok());
                match frame.map(|frame| self.enter(place, frames.at(frame))) {
                    Some(Entered::Whole(place)) => {
                        let is_narrow = narrow > 0 && stacks.sum(alike) < narrow;
                        let groups = if is_narrow { &mut later } else { &mut groups };
                        groups.push(Group { begin: from, end: to, depth: depth + 1, place });
                    }
                    Some(Entered::Part(place)) => self.count(place, stacks.sum(alike), side),
                    // They end here.
                    None => self.count(place, stacks.sum(alike), side),
                }
                from = to;
            }
        }
        later
    }

    /// Where a stack leads from here.
    fn add_rest(&mut self, stacks: &Stacks, stack: &Stack, depth: u32, place: Place, frames: &Frames) -> Place {
        let mut place = place;
        let rest = stack.begin.saturating_add(depth) as usize..stack.end as usize;
        for frame in stacks.frames.get(rest).unwrap_or_default() {
            match self.enter(place, frames.at(*frame)) {
                Entered::Whole(next) => place = next,
                Entered::Part(last) => return last,
            }
        }
        place
    }

    /// Goes on with these functions, the outermost first.
    fn enter(&mut self, place: Place, names: &[Option<u32>]) -> Entered {
        let mut place = place;
        for name in names {
            match name.and_then(|name| self.callee(place, name)) {
                Some(callee) => place = callee,
                None => return Entered::Part(place),
            }
        }
        Entered::Whole(place)
    }
}

/// Where some functions lead.
enum Entered {
    Whole(Place),
    /// To the last one that there is room for: what lies deeper counts there.
    Part(Place),
}
