//! Sections of a process' code, by address: `RangeSectionMap`, a tree of five levels of 256 pointers, whose last ones lead
//! to fragments of sections.

use super::half;
use super::layout::Layout;
use crate::runtime::memory::ReadMemory;

/// The tree of a process.
#[derive(Clone, Copy)]
pub(super) struct Sections<'m> {
    pub(super) memory: &'m dyn ReadMemory,
    pub(super) layout: &'m Layout,
    /// The address of the first level.
    pub(super) root: u64,
}

/// A section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    /// Where it begins.
    pub(super) start: u64,
    pub(super) kind: Kind,
}

/// What is in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Methods that were compiled while the program runs: the heap.
    Heap(u64),
    /// What was compiled ahead: the module.
    Image(u64),
    Stubs,
}

const LEVELS: u32 = 5;
const ENTRIES: usize = 256;
const ENTRY_BITS: u32 = 8;
/// Of the addresses that one entry of the last level is for.
const PIECE_BITS: u32 = 17;
/// The lowest bit of a pointer says that what it leads to can be unloaded.
const UNLOADABLE: u64 = 1;
/// Fragments behind one entry that are looked at.
const MAX_FRAGMENTS: usize = 16;
/// Levels of a depth, and pieces of all of them, that are looked at; sections that are collected.
const MAX_LEVELS: usize = 64;
const MAX_PIECES: usize = 16_384;
const MAX_SECTIONS: usize = 1024;
/// Words of a heap's map that are looked at, and methods of it.
const MAX_WORDS: u64 = 4096;
const MAX_METHODS: usize = 64;
/// `RANGE_SECTION_CODEHEAP` and `RANGE_SECTION_RANGELIST`
const HEAP: u32 = 2;
const STUBS: u32 = 4;

impl Sections<'_> {
    pub(super) fn at(&self, address: u64) -> Option<Section> {
        let mut level = self.root;
        for depth in (0..LEVELS).rev() {
            let entry = address >> (PIECE_BITS + ENTRY_BITS * depth) & (ENTRIES as u64 - 1);
            level = self.memory.pointer(level.wrapping_add(8 * entry))? & !UNLOADABLE;
        }
        let of_it = |fragment: &[u64; 4]| (fragment[1]..fragment[2]).contains(&address);
        let section = self.fragments(level).find(of_it).map(|[.., section]| section)?;
        self.section(section)
    }

    /// Some sections, by rising addresses.
    pub(super) fn first(&self) -> Vec<Section> {
        let mut levels = vec![self.root];
        for depth in (0..LEVELS).rev() {
            let most = if depth == 0 { MAX_PIECES } else { MAX_LEVELS };
            let entries = levels.iter().flat_map(|level| self.memory.words(*level, ENTRIES));
            levels = entries.filter(|entry| *entry != 0).map(|entry| entry & !UNLOADABLE).take(most).collect();
        }
        // A large one is in many pieces.
        let mut sections: Vec<u64> =
            levels.iter().flat_map(|first| self.fragments(*first)).map(|[.., section]| section).collect();
        sections.dedup();
        sections.truncate(MAX_SECTIONS);
        sections.into_iter().filter_map(|section| self.section(section)).collect()
    }

    /// { next, begin, end, section }
    fn fragments(&self, first: u64) -> impl Iterator<Item = [u64; 4]> {
        let read = |address: u64| (address != 0).then(|| self.memory.words(address, 4).try_into().ok()).flatten();
        std::iter::successors(read(first), move |fragment: &[u64; 4]| read(fragment[0] & !UNLOADABLE))
            .take(MAX_FRAGMENTS)
    }

    fn section(&self, address: u64) -> Option<Section> {
        let at = |offset: u16| address.wrapping_add(offset.into());
        let layout = &self.layout.section;
        let flags = half(self.memory, at(layout.flags))?;
        let kind = if flags & STUBS != 0 {
            Kind::Stubs
        } else if flags & HEAP != 0 {
            Kind::Heap(self.memory.pointer(at(layout.heap))?)
        } else {
            Kind::Image(self.memory.pointer(at(layout.module))?)
        };
        Some(Section { start: self.memory.word(address)?, kind })
    }

    /// Where some methods of a heap begin. Each nibble of its map is of 32 bytes of code: 1 + the place of a beginning in
    /// them, in words of 4 bytes. In words that lead to a beginning before (from 10 on) the lowest nibble is more than 8.
    pub(super) fn methods_of(&self, section: &Section) -> Option<Vec<u64>> {
        let Kind::Heap(heap) = section.kind else { return None };
        let at = |offset: u16| self.memory.pointer(heap.wrapping_add(offset.into()));
        let (base, nibbles) = (at(self.layout.heap.base)?, at(self.layout.heap.nibbles)?);
        let mut methods = Vec::new();
        for word in 0..MAX_WORDS {
            let Some(found) = half(self.memory, nibbles.wrapping_add(4 * word)) else { break };
            if found & 15 > 8 {
                continue;
            }
            for nibble in 0..8 {
                let place = found >> (28 - 4 * nibble) & 15;
                if let Some(place) = place.checked_sub(1) {
                    methods.push(base.wrapping_add(256 * word + u64::from(32 * nibble + 4 * place)));
                }
            }
            if methods.len() >= MAX_METHODS {
                break;
            }
        }
        Some(methods)
    }
}
