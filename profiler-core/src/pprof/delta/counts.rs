//! What each stack of a series had counted, in one piece of memory.
//!
//! An entry is three variable-length integers, or as many as there are counters and one: the difference to the key before
//! it, in whose lowest two bits stands for how many profiles the stack has been away, and the counters. A stack that has
//! counted nothing has no entry.

use std::iter::Peekable;

use prost::encoding::{decode_varint, encode_varint};

/// A keyed hash of a stack and its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

/// What a stack has counted since its process started.
pub(super) type Counted = [u64; 2];

/// A stack that is missing in more profiles in a row is forgotten. Runtimes never drop a stack that has counted
/// something: what is gone for good belongs to a process that is gone.
const LONGEST_AWAY: u8 = 3;
const AWAY_BITS: u32 = 2;

impl Key {
    /// Of a hash of 64 bits, 62 are kept.
    pub(super) fn of_hash(hash: u64) -> Self {
        Self(hash >> AWAY_BITS)
    }
}

/// All entries, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Counts(Box<[u8]>);

/// What is remembered of a stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remembered {
    pub(super) key: Key,
    away: u8,
    pub(super) counted: Counted,
}

impl Counts {
    /// Bytes of memory.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = Remembered> {
        let (mut rest, mut before) = (self.0.as_ref(), 0_u64);
        std::iter::from_fn(move || {
            // Nothing but what was written below: it ends where it ends.
            let head = decode_varint(&mut rest).ok()?;
            before += head >> AWAY_BITS;
            let away = (head & ((1 << AWAY_BITS) - 1)) as u8;
            let counted = [decode_varint(&mut rest).ok()?, decode_varint(&mut rest).ok()?];
            Some(Remembered { key: Key(before), away, counted })
        })
    }
}

/// Writes entries in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    before: u64,
}

impl Writer {
    /// For about as many entries as there were before.
    pub(super) fn with_room_of(before: &Counts) -> Self {
        Self { bytes: Vec::with_capacity(before.len() + before.len() / 16), before: 0 }
    }

    /// A stack that was in the profile.
    pub(super) fn present(&mut self, key: Key, counted: Counted) {
        self.write(Remembered { key, away: 0, counted });
    }

    /// A stack that was not.
    pub(super) fn absent(&mut self, entry: Remembered) {
        if entry.away < LONGEST_AWAY {
            self.write(Remembered { away: entry.away + 1, ..entry });
        }
    }

    fn write(&mut self, entry: Remembered) {
        if entry.counted == Counted::default() {
            return;
        }
        encode_varint((entry.key.0 - self.before) << AWAY_BITS | u64::from(entry.away), &mut self.bytes);
        entry.counted.into_iter().for_each(|counted| encode_varint(counted, &mut self.bytes));
        self.before = entry.key.0;
    }

    pub(super) fn finish(self) -> Counts {
        Counts(self.bytes.into_boxed_slice())
    }
}

/// What stands on both sides under one key, or on one.
pub(super) struct Joined<T> {
    pub(super) before: Option<Remembered>,
    pub(super) now: Option<(Key, T)>,
}

/// Both sides in the order of their keys, which stand once in each.
pub(super) fn join<T>(
    before: impl Iterator<Item = Remembered>,
    now: impl Iterator<Item = (Key, T)>,
) -> impl Iterator<Item = Joined<T>> {
    let (mut before, mut now): (Peekable<_>, Peekable<_>) = (before.peekable(), now.peekable());
    std::iter::from_fn(move || {
        let key = match (before.peek(), now.peek()) {
            (Some(before), Some((now, _))) => before.key.min(*now),
            (Some(before), None) => before.key,
            (None, Some((now, _))) => *now,
            (None, None) => return None,
        };
        Some(Joined { before: before.next_if(|before| before.key == key), now: now.next_if(|(now, _)| *now == key) })
    })
}
