//! Many stacks added to a tree at once: sorted by what they begin with, from the outermost function inwards, so that each
//! line of callers is looked up once however many samples have it. What is worked on at a time lies close together in
//! memory; looking each step of each stack up in one large table costs several times as much.
//!
//! What is wide enough to be seen comes first: where there is no room for all, the narrowest are cut short.

use super::message::Frames;
use super::{MOST_NODES, Place, ROOT, Side, TreeBuilder};

/// Stacks of locations and their values.
pub(super) struct Stacks {
    /// Of all stacks, one after the other, the outermost location first, and [`END`] behind the innermost.
    frames: Vec<u32>,
    stacks: Vec<Stack>,
}

#[derive(Clone, Copy)]
struct Stack {
    /// The one at the depth that its group is at.
    frame: u32,
    /// Where its frames begin.
    begin: u32,
    value: u64,
}

/// No location: a message has fewer bytes than that.
const END: u32 = u32::MAX;
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
    pub(super) const EACH: usize = size_of::<Stack>() + size_of::<u32>();

    pub(super) fn with_capacity(stacks: usize) -> Self {
        Self { frames: Vec::new(), stacks: Vec::with_capacity(stacks) }
    }

    /// Adds one, the innermost location first.
    pub(super) fn push(&mut self, stack: &[u32], value: u64) {
        let begin = self.frames.len() as u32;
        self.frames.extend(stack.iter().rev());
        self.frames.push(END);
        self.stacks.push(Stack { frame: END, begin, value });
    }
}

fn sum(stacks: &[Stack]) -> u64 {
    stacks.iter().map(|stack| stack.value).fold(0, u64::saturating_add)
}

impl TreeBuilder {
    pub(super) fn add_stacks(&mut self, stacks: Stacks, frames: &Frames, side: Side) {
        let Stacks { frames: of_stacks, mut stacks } = stacks;
        // A table that grows by and by is copied again and again. What is not used of it is never touched.
        self.nodes.reserve(of_stacks.len().min(MOST_NODES.saturating_sub(self.nodes.len())));
        let narrow = sum(&stacks) / NARROW;
        let all = Group { begin: 0, end: stacks.len(), depth: 0, place: ROOT };
        let later = self.add_groups(vec![all], narrow, &mut stacks, &of_stacks, frames, side);
        self.add_groups(later, 0, &mut stacks, &of_stacks, frames, side);
    }

    /// Adds these groups but for those in them whose values are less than `narrow`, and hands these back.
    fn add_groups(
        &mut self,
        mut groups: Vec<Group>,
        narrow: u64,
        stacks: &mut [Stack],
        of_stacks: &[u32],
        frames: &Frames,
        side: Side,
    ) -> Vec<Group> {
        let mut later = Vec::new();
        while let Some(Group { begin, end, depth, place }) = groups.pop() {
            let Some(group) = stacks.get_mut(begin..end) else { continue };
            if let [alone] = group {
                let rest = of_stacks.get(alone.begin.saturating_add(depth) as usize..).unwrap_or_default();
                let place = self.add_rest(rest, place, frames);
                self.count(place, alone.value, side);
                continue;
            }
            for stack in group.iter_mut() {
                stack.frame = of_stacks.get(stack.begin.saturating_add(depth) as usize).copied().unwrap_or(END);
            }
            group.sort_unstable_by_key(|stack| stack.frame);
            let mut from = begin;
            for alike in group.chunk_by(|a, b| a.frame == b.frame) {
                let to = from + alike.len();
                let frame = alike.first().map_or(END, |stack| stack.frame);
                let entered = if frame == END { Entered::Part(place) } else { self.enter(place, frames.at(frame)) };
                match entered {
                    Entered::Whole(place) => {
                        let is_narrow = narrow > 0 && sum(alike) < narrow;
                        let groups = if is_narrow { &mut later } else { &mut groups };
                        groups.push(Group { begin: from, end: to, depth: depth + 1, place });
                    }
                    // So for those that end here.
                    Entered::Part(place) => self.count(place, sum(alike), side),
                }
                from = to;
            }
        }
        later
    }

    /// Where a stack leads from here.
    fn add_rest(&mut self, rest: &[u32], place: Place, frames: &Frames) -> Place {
        let mut place = place;
        for frame in rest.iter().take_while(|frame| **frame != END) {
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
