//! Lending records, oldest first.

use std::io;

use bytes::Bytes;

use super::{Cursor, Fresh, Log, Outstanding, uncovered};
use crate::files::{File, Folder};
use crate::format::{Marker, SEGMENT_HEADER};
use crate::walk::{Found, Walk};

/// A record on loan, until it is acknowledged or given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lent {
    pub sequence: u64,
    pub time: u64,
    pub payload: Bytes,
}

impl<D: Folder> Log<D> {
    /// The oldest records that are not lent: as many as these limits allow, but at least one if there is any.
    pub(crate) fn lend(&mut self, max_records: usize, max_bytes: usize, now: u64) -> Vec<Lent> {
        self.stalled = false;
        let (mut lent, mut bytes) = (Vec::new(), 0);
        while lent.len() < max_records && (lent.is_empty() || bytes + self.next_in_memory() <= max_bytes) {
            let next = match self.returned.pop_first() {
                Some(sequence) => self.lend_again(sequence, now),
                None if self.outstanding.len() < self.limits.max_lent => self.lend_new(now),
                None => Step::End,
            };
            match next {
                Step::Lent(record) => {
                    bytes += record.payload.len();
                    // How long it is was not known before. It is the first one of the next batch.
                    if bytes > max_bytes && !lent.is_empty() {
                        self.returned.insert(record.sequence);
                        break;
                    }
                    lent.push(record);
                }
                Step::Passed => {}
                Step::End => break,
            }
        }
        lent
    }

    /// Bytes of the next payload; 0 if it has to be read to know.
    fn next_in_memory(&self) -> usize {
        let next =
            self.fresh.front().filter(|fresh| self.returned.is_empty() && fresh.sequence == self.cursor.sequence);
        next.map_or(0, |fresh| fresh.payload.len())
    }

    fn lend_again(&mut self, sequence: u64, now: u64) -> Step {
        let Some(record) = self.outstanding.get(&sequence).copied() else { return Step::Passed };
        let expired = self.limits.expired(record.time, now);
        let found = if expired { Ok(None) } else { self.read_at(record.segment, record.offset) };
        let Ok(found) = found else {
            self.returned.insert(sequence);
            return Step::End;
        };
        match found.filter(|found| found.header.sequence == sequence) {
            Some(found) => Step::Lent(Lent { sequence, time: record.time, payload: found.payload.into() }),
            None => {
                self.outstanding.remove(&sequence);
                self.unsaved = true;
                *(if expired { &mut self.counts.expired } else { &mut self.counts.damaged }) += 1;
                Step::Passed
            }
        }
    }

    fn lend_new(&mut self, now: u64) -> Step {
        self.advance_cursor();
        let Read { segment, offset, record } = match self.read_new() {
            Ok(Some(read)) => read,
            Ok(None) => return self.leave_segment(),
            Err(Stalled) => return Step::End,
        };
        let Lent { sequence, time, .. } = record;
        if self.resume.covers(sequence) {
            return Step::Passed;
        }
        if self.limits.expired(time, now) {
            self.counts.expired += 1;
            self.unsaved = true;
            return Step::Passed;
        }
        self.outstanding.insert(sequence, Outstanding { segment, offset, time, gone: false });
        Step::Lent(record)
    }

    /// The record at the cursor, which moves behind it; none where the segment has no more.
    fn read_new(&mut self) -> Result<Option<Read>, Stalled> {
        while let Some(fresh) = self.fresh.pop_front_if(|fresh| fresh.sequence <= self.cursor.sequence) {
            self.fresh_bytes -= fresh.payload.len();
            if fresh.sequence == self.cursor.sequence {
                let sequence = fresh.sequence;
                let Fresh { segment, next_offset: offset, time, .. } = fresh;
                self.cursor = Cursor { segment, offset, sequence: sequence + 1, time };
                let record = Lent { sequence, time: fresh.time, payload: fresh.payload };
                return Ok(Some(Read { segment: fresh.segment, offset: fresh.offset, record }));
            }
        }
        let number = self.cursor.segment;
        let Some(limit) = self.segment(number).map(|segment| segment.limit) else { return Ok(None) };
        while self.cursor.sequence < limit {
            let Some(found) = self.read_at(number, self.cursor.offset)? else { break };
            let sequence = found.header.sequence;
            if sequence >= limit {
                break;
            }
            self.cursor.offset = found.next_offset;
            if sequence >= self.cursor.sequence {
                self.count_damaged(sequence);
                (self.cursor.sequence, self.cursor.time) = (sequence + 1, found.header.time);
                let record = Lent { sequence, time: found.header.time, payload: found.payload.into() };
                return Ok(Some(Read { segment: number, offset: found.offset, record }));
            }
        }
        Ok(None)
    }

    /// The first payload at or behind that place.
    fn read_at(&mut self, number: u64, offset: u64) -> Result<Option<Found>, Stalled> {
        let Some((id, end)) = self.segment(number).map(|segment| (segment.id, segment.len)) else { return Ok(None) };
        if self.reading.as_ref().is_none_or(|(open, _)| *open != number) {
            match self.folder.open(&id.name()) {
                Ok(file) => self.reading = Some((number, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(_) => {
                    self.counts.io_errors += 1;
                    self.stalled = true;
                    return Err(Stalled);
                }
            }
        }
        Ok(self.reading.as_ref().and_then(|(_, file)| payload_at(file, id.marker, offset, end)))
    }

    /// What is left of the cursor's segment, which cannot be read, is passed.
    fn leave_segment(&mut self) -> Step {
        let Some(limit) = self.segment(self.cursor.segment).map(|segment| segment.limit) else { return Step::End };
        if self.cursor.sequence < limit {
            self.count_damaged(limit);
            self.cursor.sequence = limit;
        }
        if self.is_last(self.cursor.segment) {
            return Step::End;
        }
        self.advance_cursor();
        Step::Passed
    }

    /// Records from the cursor to this one are not to be found.
    fn count_damaged(&mut self, sequence: u64) {
        let missing = uncovered(&self.resume, self.cursor.sequence..sequence);
        let number = self.cursor.segment;
        if missing > 0
            && let Some(segment) = self.segments.iter_mut().find(|segment| segment.id.number == number)
        {
            let known = missing.min(segment.known_lost);
            segment.known_lost -= known;
            self.counts.damaged += missing - known;
            self.unsaved = true;
        }
    }

    fn segment(&self, number: u64) -> Option<&super::Segment> {
        self.segments.iter().find(|segment| segment.id.number == number)
    }
}

struct Read {
    segment: u64,
    offset: u64,
    record: Lent,
}

/// A file cannot be opened now; it may be the next time.
struct Stalled;

enum Step {
    Lent(Lent),
    /// It was acknowledged, is too old, or is damaged.
    Passed,
    End,
}

fn payload_at(file: &impl File, marker: Marker, offset: u64, end: u64) -> Option<Found> {
    let offset = offset.max(SEGMENT_HEADER as u64);
    Walk { file, marker, offset, end, skipped: 0 }.next_payload()
}
