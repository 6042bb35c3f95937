//! The queue's state: segments, what is to be read next, and what is lent. It runs on one thread and knows no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use crate::files::Folder;
use crate::format::{Marker, Position, SEGMENT_HEADER, SegmentId};
use crate::limits::{Limits, Stats};

mod append;
mod read;
mod recovery;
mod room;

pub(crate) use append::Payload;
pub(crate) use read::Lent;

#[derive(Debug)]
pub(crate) struct Log<D: Folder> {
    folder: D,
    pub(crate) limits: Limits,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// The last segment's file, while it grows. None after a start, so that nothing is ever written behind a torn tail.
    active: Option<D::File>,
    next_number: u64,
    next_sequence: u64,
    /// Of the newest record; times do not go back when the clock does.
    newest: u64,
    cursor: Cursor,
    reading: Option<(u64, D::File)>,
    /// What was acknowledged before the start.
    resume: Position,
    /// Lent, or waiting to be lent again.
    outstanding: BTreeMap<u64, Outstanding>,
    /// Those of `outstanding` that came back.
    returned: BTreeSet<u64>,
    fresh: VecDeque<Fresh>,
    fresh_bytes: usize,
    /// Whether more was acknowledged than the last position in a file says.
    unsaved: bool,
    /// Whether there was something to be lent that could not be read, for now.
    pub(crate) stalled: bool,
    counts: Stats,
}

#[derive(Debug)]
struct Segment {
    id: SegmentId,
    /// Bytes that are durable, its header included.
    len: u64,
    /// One more than its last sequence.
    limit: u64,
    /// Times of its first payload and of its newest record.
    oldest: u64,
    newest: u64,
    /// Records that recovery has missed and counted.
    known_lost: u64,
}

/// What was not read yet begins here.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    segment: u64,
    offset: u64,
    sequence: u64,
    /// Of the record before: those that follow are no older.
    time: u64,
}

#[derive(Debug, Clone, Copy)]
struct Outstanding {
    segment: u64,
    offset: u64,
    time: u64,
    /// Its segment made room for newer records.
    gone: bool,
}

/// A payload that is on disk, and in memory as well.
#[derive(Debug)]
struct Fresh {
    segment: u64,
    offset: u64,
    next_offset: u64,
    sequence: u64,
    time: u64,
    payload: Bytes,
}

impl<D: Folder> Log<D> {
    /// Whoever borrowed that record is done with it.
    pub(crate) fn acknowledge(&mut self, sequence: u64) {
        if self.outstanding.remove(&sequence).is_some() {
            self.counts.acknowledged += 1;
            self.unsaved = true;
        }
    }

    /// Whether more was acknowledged than is durable.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// That record is no more to be lent, but did not arrive; whether it is kept elsewhere.
    pub(crate) fn reject(&mut self, sequence: u64, kept: bool) {
        if self.outstanding.remove(&sequence).is_some() {
            *(if kept { &mut self.counts.rejected } else { &mut self.counts.rejected_lost }) += 1;
            self.unsaved = true;
        }
    }

    /// Whoever borrowed that record gives it back: it is the next one to be lent.
    pub(crate) fn give_back(&mut self, sequence: u64) {
        match self.outstanding.get(&sequence) {
            Some(record) if record.gone => {
                self.outstanding.remove(&sequence);
                self.counts.dropped += 1;
                self.unsaved = true;
            }
            Some(_) => drop(self.returned.insert(sequence)),
            None => {}
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let unread: u64 = self.segments.iter().map(|segment| self.unread(segment)).sum();
        let records = unread + self.outstanding.len() as u64;
        let oldest = self.oldest(unread > 0).map(|time| UNIX_EPOCH + Duration::from_millis(time));
        Stats { records, bytes: self.bytes(), oldest, ..self.counts }
    }

    /// When the oldest record was appended; sequences and times rise together.
    fn oldest(&self, any_unread: bool) -> Option<u64> {
        if let Some((_, lent)) = self.outstanding.first_key_value() {
            return Some(lent.time);
        }
        let fresh = self.fresh.iter().find(|fresh| fresh.sequence >= self.cursor.sequence);
        if let Some(next) = fresh.filter(|fresh| fresh.sequence == self.cursor.sequence) {
            return Some(next.time);
        }
        let unread = self.segments.iter().find(|segment| self.unread(segment) > 0)?;
        any_unread.then(|| unread.oldest.max(self.cursor.time))
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// What is acknowledged by now.
    fn position(&self) -> Position {
        let mut outstanding: BTreeSet<u64> = self.outstanding.keys().copied().collect();
        outstanding.extend(self.resume.outstanding.range(self.cursor.sequence..));
        Position { next: self.cursor.sequence.max(self.resume.next), outstanding }
    }

    /// Records of a segment that were not lent yet.
    fn unread(&self, segment: &Segment) -> u64 {
        let from = segment.id.first.max(self.cursor.sequence);
        uncovered(&self.resume, from..segment.limit).saturating_sub(segment.known_lost)
    }

    fn is_last(&self, number: u64) -> bool {
        self.segments.back().is_some_and(|last| last.id.number == number)
    }

    /// Moves the cursor over segments in which nothing is left to be read, or which are gone.
    fn advance_cursor(&mut self) {
        for segment in &self.segments {
            if segment.id.number > self.cursor.segment {
                let sequence = self.cursor.sequence.max(segment.id.first);
                let (offset, time) = (SEGMENT_HEADER as u64, self.cursor.time);
                self.cursor = Cursor { segment: segment.id.number, offset, sequence, time };
            }
            if segment.id.number == self.cursor.segment && self.cursor.sequence < segment.limit {
                break;
            }
        }
    }
}

/// How many of these a position says nothing of.
fn uncovered(position: &Position, range: Range<u64>) -> u64 {
    if range.is_empty() {
        return 0;
    }
    let outstanding = position.outstanding.range(range.start..range.end.min(position.next).max(range.start)).count();
    outstanding as u64 + range.end.saturating_sub(range.start.max(position.next))
}

/// Bytes that nobody can guess who does not read the file: the standard library keys its hashers from the system.
fn random_marker() -> Marker {
    RandomState::new().hash_one(0).to_be_bytes()
}

#[cfg(test)]
mod tests;
