//! The stacks of many profiles merged into one tree of functions: what flame graphs and tables are made of.
//!
//! A tree has two [sides](Side), so that two selections can be compared on one drawing. It is bounded: once it is
//! full, what lies deeper is counted at the last function that is known.

use std::collections::HashMap;
use std::num::NonZeroU32;

use indexmap::IndexSet;
use rapidhash::fast::RandomState;

mod export;
mod functions;
mod layout;
mod message;
mod search;
mod stacks;

pub use functions::{Function, Order};
pub use layout::{Frame, Layout, Window};
pub use message::{PprofMessage, SampleType, Unreadable};
pub use search::Search;

/// Functions in a tree, each counted once for each line of callers: some 130 MB.
const MOST_NODES: usize = 2_000_000;
/// Bytes of the names of all functions.
const MOST_NAME_BYTES: usize = 64 << 20;
/// Of so many functions that one calls each is looked at; of more a table says where they are. Few call more, and the
/// table costs more than all the rest of a node.
const FEW: u32 = 8;

/// Which of the two selections a value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is looked at.
    Shown,
    /// What it is compared with.
    Compared,
}

/// A value of each side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Values {
    /// Of what is looked at.
    pub shown: u64,
    /// Of what it is compared with.
    pub compared: u64,
}

/// A tree that is not whole yet.
#[derive(Debug)]
pub struct TreeBuilder {
    names: IndexSet<Box<str>, RandomState>,
    name_bytes: usize,
    nodes: Vec<Node>,
    /// By caller and name, where a caller calls more than [`FEW`].
    places: HashMap<(Place, u32), Place, RandomState>,
    is_full: bool,
}

/// Merged stacks.
#[derive(Debug)]
pub struct Tree {
    names: Box<[Box<str>]>,
    /// Each behind its caller; the first is the root, which is no function.
    nodes: Vec<Node>,
    /// Of each node: the same for the same functions in any tree.
    paths: Vec<u64>,
    is_full: bool,
}

/// Where a node lies.
type Place = u32;

const ROOT: Place = 0;

#[derive(Debug, Clone, Copy)]
struct Node {
    name: u32,
    caller: Place,
    /// Of what it calls, the one that was found last.
    last_callee: Option<NonZeroU32>,
    /// What its caller called before it.
    before: Option<NonZeroU32>,
    /// How many functions it calls.
    callees: u32,
    own: Values,
    total: Values,
}

impl Default for TreeBuilder {
    fn default() -> Self {
        let root = Node::new(0, ROOT);
        let names = IndexSet::from_iter([Box::from("")]);
        Self { names, name_bytes: 0, nodes: vec![root], places: HashMap::default(), is_full: false }
    }
}

impl TreeBuilder {
    /// Adds a stack, the outermost function first.
    pub fn add<'a>(&mut self, stack: impl IntoIterator<Item = &'a str>, value: u64, side: Side) {
        let mut place = ROOT;
        for name in stack {
            let Some(callee) = self.name(name).and_then(|name| self.callee(place, name)) else { break };
            place = callee;
        }
        self.count(place, value, side);
    }

    /// The tree of all that was added.
    #[must_use]
    pub fn finish(self) -> Tree {
        let Self { names, mut nodes, is_full, .. } = self;
        // A caller stands before what it calls.
        for place in (0..nodes.len()).rev() {
            let Some(node) = nodes.get_mut(place) else { continue };
            node.total = node.total.plus(node.own);
            let (caller, total) = (node.caller as usize, node.total);
            if let Some(caller) = nodes.get_mut(caller).filter(|_| place > 0) {
                caller.total = caller.total.plus(total);
            }
        }
        let names: Box<[Box<str>]> = names.into_iter().collect();
        let paths = paths(&names, &nodes);
        Tree { names, nodes, paths, is_full }
    }

    /// The name's place in the table; `None` where there is no room for it.
    fn name(&mut self, name: &str) -> Option<u32> {
        let known = self.names.get_index_of(name);
        if known.is_none() && self.name_bytes + name.len() > MOST_NAME_BYTES {
            self.is_full = true;
            return None;
        }
        let place = known.unwrap_or_else(|| {
            self.name_bytes += name.len();
            self.names.insert_full(name.into()).0
        });
        u32::try_from(place).ok()
    }

    /// What a function calls, by its name; `None` where there is no room for it.
    fn callee(&mut self, caller: Place, name: u32) -> Option<Place> {
        self.known_callee(caller, name).or_else(|| self.new_callee(caller, name))
    }

    fn known_callee(&self, caller: Place, name: u32) -> Option<Place> {
        let node = self.nodes.get(caller as usize)?;
        if node.callees > FEW {
            return self.places.get(&(caller, name)).copied();
        }
        callees(&self.nodes, node).find(|(_, callee)| callee.name == name).map(|(place, _)| place)
    }

    /// One that it does not call yet.
    fn new_callee(&mut self, caller: Place, name: u32) -> Option<Place> {
        if self.nodes.len() > MOST_NODES {
            self.is_full = true;
            return None;
        }
        let place = NonZeroU32::new(Place::try_from(self.nodes.len()).ok()?)?;
        let node = self.nodes.get_mut(caller as usize)?;
        let before = node.last_callee.replace(place);
        node.callees += 1;
        let number = node.callees;
        self.nodes.push(Node { before, ..Node::new(name, caller) });
        if number == FEW + 1 {
            let node = self.nodes.get(caller as usize)?;
            self.places.extend(callees(&self.nodes, node).map(|(place, callee)| ((caller, callee.name), place)));
        } else if number > FEW {
            self.places.insert((caller, name), place.get());
        }
        Some(place.get())
    }

    fn count(&mut self, place: Place, value: u64, side: Side) {
        if let Some(node) = self.nodes.get_mut(place as usize) {
            node.own.add(side, value);
        }
    }
}

impl Tree {
    /// All that was counted.
    #[must_use]
    pub fn total(&self) -> Values {
        self.nodes.first().map(|root| root.total).unwrap_or_default()
    }

    /// Whether stacks were cut for want of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Functions, each counted once for each line of callers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len().saturating_sub(1)
    }

    /// Whether there is no function in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn node(&self, place: Place) -> Option<&Node> {
        self.nodes.get(place as usize)
    }

    fn name(&self, node: &Node) -> &str {
        self.names.get(node.name as usize).map_or("", |name| name)
    }

    fn path(&self, place: Place) -> u64 {
        self.paths.get(place as usize).copied().unwrap_or_default()
    }

    fn callees(&self, node: &Node) -> impl Iterator<Item = (Place, &Node)> {
        callees(&self.nodes, node)
    }

    /// A function and those above it, the outermost first.
    fn line(&self, place: Place) -> Vec<Place> {
        let mut line = Vec::new();
        let mut next = place;
        while next != ROOT {
            line.push(next);
            next = self.node(next).map_or(ROOT, |node| node.caller);
        }
        line.reverse();
        line
    }
}

/// What a function calls, the one that was found last first.
fn callees<'n>(nodes: &'n [Node], node: &Node) -> impl Iterator<Item = (Place, &'n Node)> + use<'n> {
    let at = move |place: NonZeroU32| nodes.get(place.get() as usize).map(|node| (place.get(), node));
    std::iter::successors(node.last_callee.and_then(at), move |(_, node)| node.before.and_then(at))
}

/// Paths stand in links that people share: the hash is the same in every process.
fn paths(names: &[Box<str>], nodes: &[Node]) -> Vec<u64> {
    let hashes: Vec<u64> = names.iter().map(|name| rapidhash::v3::rapidhash_v3(name.as_bytes())).collect();
    let mut paths: Vec<u64> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let above = paths.get(node.caller as usize).copied().unwrap_or_default();
        let own = hashes.get(node.name as usize).copied().unwrap_or_default();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&above.to_le_bytes());
        bytes[8..].copy_from_slice(&own.to_le_bytes());
        paths.push(rapidhash::v3::rapidhash_v3(&bytes));
    }
    paths
}

impl Node {
    fn new(name: u32, caller: Place) -> Self {
        let (own, total) = (Values::default(), Values::default());
        Self { name, caller, last_callee: None, before: None, callees: 0, own, total }
    }
}

impl Values {
    /// Whether there is nothing on either side.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// The part of a whole that this is, from 0 to 1: of both sides together, where both have something.
    #[must_use]
    pub fn weight(self, whole: Self) -> f64 {
        let [shown, compared] = self.shares(whole);
        match (whole.shown, whole.compared) {
            (_, 0) => shown,
            (0, _) => compared,
            _ => f64::midpoint(shown, compared),
        }
    }

    /// The part of each side that this is, from 0 to 1.
    #[must_use]
    pub fn shares(self, whole: Self) -> [f64; 2] {
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        [share(self.shown, whole.shown), share(self.compared, whole.compared)]
    }

    /// The value of a side.
    #[must_use]
    pub fn of(self, side: Side) -> u64 {
        match side {
            Side::Shown => self.shown,
            Side::Compared => self.compared,
        }
    }

    fn add(&mut self, side: Side, more: u64) {
        let value = match side {
            Side::Shown => &mut self.shown,
            Side::Compared => &mut self.compared,
        };
        *value = value.saturating_add(more);
    }

    fn plus(self, other: Self) -> Self {
        let shown = self.shown.saturating_add(other.shown);
        Self { shown, compared: self.compared.saturating_add(other.compared) }
    }
}

#[cfg(test)]
mod tests;
