//! Writing: many records and one sync.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::{Fresh, Log, Segment, random_marker};
use crate::files::{File, Folder};
use crate::format::{Kind, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentId};
use crate::limits::AppendError;

/// What is to be appended, with its CRC-32.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    bytes: Bytes,
    checksum: u32,
}

impl Payload {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { checksum: crc32fast::hash(&bytes), bytes }
    }

    fn on_disk(&self) -> u64 {
        (RECORD_HEADER + self.bytes.len()) as u64
    }
}

impl AsRef<Self> for Payload {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl<D: Folder> Log<D> {
    /// Appends each, in this order, with as few syncs as there are segments to be written; tells `done` its sequence when
    /// it is durable, or why it was not taken.
    pub(crate) fn append<T: AsRef<Payload>>(
        &mut self,
        waiting: impl IntoIterator<Item = T>,
        now: u64,
        mut done: impl FnMut(T, Result<u64, AppendError>),
    ) {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        for one in waiting {
            let needed = one.as_ref().on_disk();
            let before =
                bytes + if self.active.is_some() { self.segments.back().map_or(0, |last| last.len) } else { 0 };
            if before > SEGMENT_HEADER as u64 && before + needed > self.limits.segment_size() {
                self.write_chunk(&mut chunk, now, &mut done);
                self.active = None;
                bytes = 0;
            }
            match self.make_room(bytes, one.as_ref().bytes.len() as u64, needed, now) {
                Ok(()) => {
                    bytes += needed;
                    chunk.push(one);
                }
                Err(error) => done(one, Err(error)),
            }
        }
        self.write_chunk(&mut chunk, now, &mut done);
    }

    /// Makes durable what was acknowledged; whether it is.
    pub(crate) fn save_position(&mut self, now: u64) -> bool {
        if !self.unsaved {
            return true;
        }
        let Some(last) = self.segments.back() else {
            // What is removed for good cannot be lent again.
            self.unsaved = self.folder.sync().inspect_err(|_| self.counts.io_errors += 1).is_err();
            return !self.unsaved;
        };
        if last.len >= self.limits.segment_size() {
            self.active = None;
        }
        self.write(&[], now).is_ok()
    }

    fn write_chunk<T: AsRef<Payload>>(
        &mut self,
        chunk: &mut Vec<T>,
        now: u64,
        done: &mut impl FnMut(T, Result<u64, AppendError>),
    ) {
        if chunk.is_empty() {
            return;
        }
        let payloads: Vec<_> = chunk.iter().map(AsRef::as_ref).collect();
        match self.write(&payloads, now) {
            Ok(first) => {
                self.counts.appended += chunk.len() as u64;
                chunk.drain(..).zip(first..).for_each(|(one, sequence)| done(one, Ok(sequence)));
            }
            Err(error) => chunk.drain(..).for_each(|one| done(one, Err(error.clone()))),
        }
    }

    /// Writes these to the segment that grows, which is made if there is none, and syncs. Returns the sequence of the
    /// first.
    pub(super) fn write(&mut self, payloads: &[&Payload], now: u64) -> Result<u64, AppendError> {
        let first = self.next_sequence;
        let result = match self.active.take() {
            Some(file) => self.grow_segment(file, payloads, now),
            None => self.start_segment(payloads, now),
        };
        if let Err(error) = result {
            self.counts.io_errors += 1;
            return Err(AppendError::Io(Arc::new(error)));
        }
        self.keep_fresh(payloads);
        self.sweep();
        Ok(first)
    }

    fn grow_segment(&mut self, file: D::File, payloads: &[&Payload], now: u64) -> io::Result<()> {
        let durable = self.segments.back().map_or(0, |last| last.len);
        match self.write_to(&file, payloads, now) {
            Ok(()) => self.active = Some(file),
            Err((error, stage)) => {
                // What was not acknowledged should not come back after a restart. After a sync that failed nobody knows
                // what the disk holds, so that the segment grows no further.
                if file.truncate(durable).is_ok() && stage == Stage::Write {
                    self.active = Some(file);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn start_segment(&mut self, payloads: &[&Payload], now: u64) -> io::Result<()> {
        let id = SegmentId { number: self.next_number, first: self.next_sequence, marker: random_marker() };
        self.next_number += 1;
        let name = id.name();
        let file = self.folder.create(&name)?;
        let oldest = now.max(self.newest);
        self.segments.push_back(Segment { id, len: 0, limit: id.first, oldest, newest: self.newest, known_lost: 0 });
        let written = self.write_to(&file, payloads, now).map_err(|(error, _)| error);
        if let Err(error) = written.and_then(|()| self.folder.sync()) {
            self.segments.pop_back();
            self.unsaved = true;
            if self.folder.remove(&name).is_err() {
                self.counts.io_errors += 1;
            }
            return Err(error);
        }
        self.active = Some(file);
        Ok(())
    }

    fn write_to(&mut self, file: &D::File, payloads: &[&Payload], now: u64) -> Result<(), (io::Error, Stage)> {
        let Some((id, offset)) = self.segments.back().map(|last| (last.id, last.len)) else { return Ok(()) };
        let time = now.max(self.newest);
        let mut notes = Vec::new();
        if offset == 0 {
            notes.extend(id.header());
        }
        let has_position = offset == 0 || self.unsaved;
        if has_position {
            let position = self.position().encode();
            let header = RecordHeader {
                kind: Kind::Position,
                length: u32::try_from(position.len()).unwrap_or(u32::MAX),
                sequence: self.next_sequence,
                time,
                checksum: crc32fast::hash(&position),
            };
            notes.extend(header.encode(id.marker));
            notes.extend(position);
        }
        let header = |(payload, sequence): (&&Payload, u64)| {
            let length = u32::try_from(payload.bytes.len()).unwrap_or(u32::MAX);
            RecordHeader { kind: Kind::Payload, length, sequence, time, checksum: payload.checksum }.encode(id.marker)
        };
        let headers: Vec<_> = payloads.iter().zip(self.next_sequence..).map(header).collect();
        let records = headers.iter().zip(payloads).flat_map(|(header, payload)| [header.as_slice(), &payload.bytes]);
        let parts: Vec<&[u8]> =
            std::iter::once(notes.as_slice()).chain(records).filter(|part| !part.is_empty()).collect();
        file.write_all_at(&parts, offset).map_err(|error| (error, Stage::Write))?;
        file.sync().map_err(|error| (error, Stage::Sync))?;
        if let Some(last) = self.segments.back_mut() {
            last.len += parts.iter().map(|part| part.len() as u64).sum::<u64>();
            last.newest = time;
        }
        self.newest = time;
        self.unsaved &= !has_position;
        Ok(())
    }

    /// These are durable, at the end of the last segment.
    fn keep_fresh(&mut self, payloads: &[&Payload]) {
        let Some(last) = self.segments.back_mut() else { return };
        let mut offset = last.len - payloads.iter().map(|payload| payload.on_disk()).sum::<u64>();
        for payload in payloads {
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            let next_offset = offset + payload.on_disk();
            if self.fresh_bytes + payload.bytes.len() <= self.limits.memory {
                self.fresh_bytes += payload.bytes.len();
                let (segment, time, payload) = (last.id.number, last.newest, payload.bytes.clone());
                self.fresh.push_back(Fresh { segment, offset, next_offset, sequence, time, payload });
            }
            offset = next_offset;
        }
        last.limit = self.next_sequence;
    }
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Write,
    Sync,
}
