//! Walking over the records of a segment, past whatever is damaged in it.

use std::io;

use crate::files::File;
use crate::format::{Kind, Marker, RECORD_HEADER, RecordHeader};

/// How many bytes are searched at a time for the next record after damage.
const WINDOW: usize = 256 * 1024;
/// What is passed over at once where the disk cannot read: a block of most file systems.
const BLOCK: u64 = 4096;
/// A read that fails is tried so often in all.
const READS: u32 = 3;

/// A place in a segment, from which records are read up to `end`.
pub(crate) struct Walk<'a, F> {
    pub file: &'a F,
    pub marker: Marker,
    pub offset: u64,
    pub end: u64,
    /// Bytes that belong to no record that can be read.
    pub skipped: u64,
}

/// A record whose checksums are right.
pub(crate) struct Found {
    pub header: RecordHeader,
    pub payload: Vec<u8>,
    /// Where its header begins.
    pub offset: u64,
    /// Where the record behind it begins.
    pub next_offset: u64,
}

impl<F: File> Walk<'_, F> {
    /// The next record of that kind, or of any; none at the end.
    pub(crate) fn next(&mut self) -> Option<Found> {
        while self.offset < self.end {
            if let Some(found) = self.record() {
                self.offset = found.next_offset;
                return Some(found);
            }
            let next = self.search(self.offset + 1);
            self.skipped += next - self.offset;
            self.offset = next;
        }
        None
    }

    /// The next payload; none at the end.
    pub(crate) fn next_payload(&mut self) -> Option<Found> {
        std::iter::from_fn(|| self.next()).find(|found| found.header.kind == Kind::Payload)
    }

    /// The record that begins right here.
    fn record(&self) -> Option<Found> {
        let mut bytes = [0; RECORD_HEADER];
        let payload_offset = self.offset + RECORD_HEADER as u64;
        if payload_offset > self.end {
            return None;
        }
        self.read(&mut bytes, self.offset).ok()?;
        let header = RecordHeader::decode(&bytes, self.marker)?;
        let next_offset = payload_offset + u64::from(header.length);
        // Also what keeps a length from allocating more than the file has.
        if next_offset > self.end {
            return None;
        }
        let mut payload = vec![0; usize::try_from(header.length).ok()?];
        self.read(&mut payload, payload_offset).ok()?;
        (crc32fast::hash(&payload) == header.checksum).then_some(Found {
            header,
            payload,
            offset: self.offset,
            next_offset,
        })
    }

    /// Where the marker stands next.
    fn search(&self, mut from: u64) -> u64 {
        let mut window = vec![0; WINDOW];
        while from + (self.marker.len() as u64) <= self.end {
            let len = usize::try_from(self.end - from).unwrap_or(WINDOW).min(WINDOW);
            let (bytes, _) = window.split_at_mut(len);
            match self.read(bytes, from) {
                Ok(()) => match memchr::memmem::find(bytes, &self.marker) {
                    Some(at) => return from + at as u64,
                    // A marker may begin in this window and end in the next one.
                    None => from += (len + 1 - self.marker.len()) as u64,
                },
                Err(_) => {
                    // By blocks, to find the one that cannot be read.
                    let block = ((from / BLOCK + 1) * BLOCK).min(self.end);
                    let len = usize::try_from(block - from).unwrap_or(0);
                    let (bytes, _) = window.split_at_mut(len);
                    from = match self.read(bytes, from) {
                        Ok(()) => match memchr::memmem::find(bytes, &self.marker) {
                            Some(at) => return from + at as u64,
                            None => (block + 1 - self.marker.len() as u64).max(from + 1),
                        },
                        Err(_) => block,
                    };
                }
            }
        }
        self.end
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut result = Ok(());
        for _ in 0..READS {
            result = self.file.read_exact_at(buffer, offset);
            if result.is_ok() {
                break;
            }
        }
        result
    }
}
