//! Opening: whatever is there is read, what is damaged is passed over and counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::Range;

use super::{Cursor, Log, Segment, uncovered};
use crate::files::{File, Folder};
use crate::format::{Header, Kind, Position, SEGMENT_HEADER, SegmentId};
use crate::limits::{Limits, Recovered, Stats};
use crate::walk::Walk;

impl<D: Folder> Log<D> {
    /// Opens the log of a folder. It reads all of it, to tell what is damaged; it fails only where the folder cannot be
    /// listed.
    pub(crate) fn open(folder: D, limits: Limits) -> io::Result<(Self, Recovered)> {
        let (mut log, recovered) = Self::read(folder, limits)?;
        log.sweep();
        Ok((log, recovered))
    }

    /// The same for whoever may not touch the folder, as another process has it.
    pub(crate) fn read(folder: D, limits: Limits) -> io::Result<(Self, Recovered)> {
        let mut recovered = Recovered::default();
        let mut ids: Vec<_> = folder.list()?.iter().filter_map(|name| SegmentId::from_name(name)).collect();
        ids.sort_unstable();
        let next_number = ids.last().map_or(1, |last| last.number + 1);
        let (mut segments, mut position) = (VecDeque::new(), Position { next: 1, ..Position::default() });
        let mut contents = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let bound = ids.get(index + 1).map_or(u64::MAX, |next| next.first);
            let Some(content) = Content::read(&folder, *id, bound) else {
                recovered.ignored_files += 1;
                continue;
            };
            recovered.skipped_bytes += content.skipped;
            if let Some(newer) = &content.position {
                position = newer.clone();
            }
            contents.push(content);
        }
        let mut next_sequence = position.next;
        let mut previous: Option<(u64, u64)> = None;
        for mut content in contents {
            let id = content.segment.id;
            // Numbers that follow each other: no segment between them was removed, so that all between their records
            // is missing.
            if let Some((number, limit)) = previous
                && number + 1 == id.number
            {
                recovered.lost += uncovered(&position, limit..id.first);
            }
            content.segment.known_lost = content.gaps().map(|gap| uncovered(&position, gap)).sum();
            recovered.lost += content.segment.known_lost;
            recovered.records += content.ranges.iter().map(|range| uncovered(&position, range.clone())).sum::<u64>();
            next_sequence = next_sequence.max(content.segment.limit);
            previous = Some((id.number, content.segment.limit));
            segments.push_back(content.segment);
        }
        let newest = segments.iter().map(|segment: &Segment| segment.newest).max().unwrap_or(0);
        let first =
            segments.front().map_or((0, next_sequence), |segment: &Segment| (segment.id.number, segment.id.first));
        let log = Self {
            folder,
            limits,
            cursor: Cursor { segment: first.0, offset: SEGMENT_HEADER as u64, sequence: first.1, time: 0 },
            segments,
            active: None,
            next_number,
            next_sequence,
            newest,
            reading: None,
            resume: position,
            outstanding: BTreeMap::new(),
            returned: BTreeSet::new(),
            fresh: VecDeque::new(),
            fresh_bytes: 0,
            unsaved: false,
            stalled: false,
            counts: Stats::default(),
        };
        Ok((log, recovered))
    }
}

/// What is in a file.
struct Content {
    segment: Segment,
    /// The last one in it.
    position: Option<Position>,
    /// Sequences of its records: one range, if nothing is missing between them.
    ranges: Vec<Range<u64>>,
    next_sequence: u64,
    skipped: u64,
}

impl Content {
    /// Records from `bound` on do not count: they were not acknowledged as written, and their sequences were given again.
    fn read<D: Folder>(folder: &D, mut id: SegmentId, bound: u64) -> Option<Self> {
        let file = folder.open(&id.name()).ok()?;
        let len = file.len().ok()?;
        let mut header = [0; SEGMENT_HEADER];
        if file.read_exact_at(&mut header, 0).is_ok() {
            match Header::decode(&header) {
                Header::Segment(in_file) => id.marker = in_file.marker,
                Header::Damaged => {}
                Header::LaterVersion => return None,
            }
        }
        let segment = Segment { id, len, limit: id.first, oldest: 0, newest: 0, known_lost: 0 };
        let mut content = Self { segment, position: None, ranges: Vec::new(), next_sequence: id.first, skipped: 0 };
        let mut walk = Walk { file: &file, marker: id.marker, offset: SEGMENT_HEADER as u64, end: len, skipped: 0 };
        while let Some(found) = walk.next() {
            let sequence = found.header.sequence;
            if sequence < content.next_sequence || sequence > bound {
                continue;
            }
            match found.header.kind {
                Kind::Payload if sequence < bound => {
                    if content.ranges.is_empty() {
                        content.segment.oldest = found.header.time;
                    }
                    match content.ranges.last_mut() {
                        Some(range) if range.end == sequence => range.end += 1,
                        _ => content.ranges.push(sequence..sequence + 1),
                    }
                    content.next_sequence = sequence + 1;
                }
                Kind::Payload => continue,
                Kind::Position => {
                    content.position = Position::decode(&found.payload).or(content.position);
                    content.next_sequence = sequence;
                }
            }
            content.segment.newest = content.segment.newest.max(found.header.time);
        }
        content.skipped = walk.skipped;
        content.segment.limit = content.next_sequence;
        Some(content)
    }

    /// What is missing before, between and behind its records.
    fn gaps(&self) -> impl Iterator<Item = Range<u64>> {
        let ends = std::iter::once(self.segment.id.first).chain(self.ranges.iter().map(|range| range.end));
        let starts = self.ranges.iter().map(|range| range.start).chain([self.next_sequence]);
        ends.zip(starts).map(|(end, start)| end..start)
    }
}
