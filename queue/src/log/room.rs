//! Keeping the limits: removing what is acknowledged, dropping what is too much or too old.

use std::io;
use std::sync::Arc;

use super::{Log, Segment, uncovered};
use crate::files::Folder;
use crate::limits::{AppendError, WhenFull};

impl<D: Folder> Log<D> {
    /// Makes room for a record of that length behind `ahead` bytes that are to be written before it.
    pub(super) fn make_room(&mut self, ahead: u64, length: u64, needed: u64, now: u64) -> Result<(), AppendError> {
        let limit = self.limits.max_payload();
        if length > limit {
            return Err(AppendError::TooLong { length, limit });
        }
        let fits = |log: &Self| log.bytes() + ahead + needed <= log.limits.payload_size();
        if fits(self) {
            return Ok(());
        }
        self.sweep();
        if !fits(self) && self.all_is_acknowledged_in_last() {
            self.replace_last(now)?;
        }
        while !fits(self) {
            if self.limits.when_full == WhenFull::Reject || self.segments.is_empty() {
                return Err(AppendError::Full { bytes: self.bytes(), max_size: self.limits.max_size });
            }
            self.drop_oldest().map_err(|error| AppendError::Io(Arc::new(error)))?;
        }
        Ok(())
    }

    /// Removes the segments of which nothing is needed any more. The last one stays: it holds the position.
    pub(crate) fn sweep(&mut self) {
        self.advance_cursor();
        let mut kept = std::collections::VecDeque::with_capacity(self.segments.len());
        while let Some(segment) = self.segments.pop_front() {
            let is_last = self.segments.is_empty();
            if is_last || self.is_needed(&segment) || self.remove(&segment).is_err() {
                kept.push_back(segment);
            }
        }
        self.segments = kept;
    }

    /// Drops segments whose newest record is too old.
    pub(crate) fn expire(&mut self, now: u64) {
        self.advance_cursor();
        while let Some(segment) = self.segments.iter().find(|segment| segment.id.number >= self.cursor.segment)
            && self.limits.expired(segment.newest, now)
            && self.cursor.sequence < segment.limit
        {
            let (limit, unread) = (segment.limit, self.unread(segment));
            self.counts.expired += unread;
            self.cursor.sequence = limit;
            self.unsaved = true;
            self.advance_cursor();
        }
        let is_old = self.segments.back().is_some_and(|last| self.limits.expired(last.newest, now));
        if is_old && self.segments.len() == 1 && self.all_is_acknowledged_in_last() {
            // If it cannot be removed now, then the next time.
            drop(self.remove_only());
        }
        self.sweep();
    }

    fn all_is_acknowledged_in_last(&self) -> bool {
        self.cursor.sequence >= self.next_sequence
            && self.segments.back().is_some_and(|last| {
                last.limit > last.id.first && self.outstanding.range(last.id.first..).next().is_none()
            })
    }

    fn replace_last(&mut self, now: u64) -> Result<(), AppendError> {
        self.active = None;
        if self.segments.len() == 1 {
            return self.remove_only().map_err(|error| AppendError::Io(Arc::new(error)));
        }
        self.write(&[], now).map(drop)
    }

    fn remove_only(&mut self) -> io::Result<()> {
        self.active = None;
        if let Some(segment) = self.segments.pop_front()
            && let Err(error) = self.remove(&segment)
        {
            self.segments.push_front(segment);
            return Err(error);
        }
        Ok(())
    }

    fn drop_oldest(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.pop_front() else { return Ok(()) };
        if self.segments.is_empty() {
            self.active = None;
        }
        if let Err(error) = self.remove(&segment) {
            self.segments.push_front(segment);
            return Err(error);
        }
        self.unsaved = true;
        self.counts.dropped += self.unread(&segment);
        self.cursor.sequence = self.cursor.sequence.max(segment.limit);
        let range = segment.id.first..segment.limit;
        let returned: Vec<u64> = self.returned.range(range.clone()).copied().collect();
        for sequence in returned {
            self.returned.remove(&sequence);
            self.outstanding.remove(&sequence);
            self.counts.dropped += 1;
        }
        self.outstanding.range_mut(range).for_each(|(_, record)| record.gone = true);
        self.advance_cursor();
        Ok(())
    }

    fn is_needed(&self, segment: &Segment) -> bool {
        let range = segment.id.first..segment.limit;
        let from = segment.id.first.max(self.cursor.sequence);
        uncovered(&self.resume, from..segment.limit) > 0 || self.outstanding.range(range).next().is_some()
    }

    fn remove(&mut self, segment: &Segment) -> io::Result<()> {
        if self.reading.as_ref().is_some_and(|(number, _)| *number == segment.id.number) {
            self.reading = None;
        }
        self.folder.remove(&segment.id.name()).inspect_err(|_| self.counts.io_errors += 1)
    }
}
