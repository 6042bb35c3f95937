//! The bytes of a segment; `docs/queue-format.md` describes them for other programs.

use std::collections::BTreeSet;

/// The first bytes of every segment.
const MAGIC: &[u8; 8] = b"DURQUEUE";
const VERSION: u32 = 1;
/// Of a segment's header.
pub(crate) const SEGMENT_HEADER: usize = 40;
/// Of a record's header.
pub(crate) const RECORD_HEADER: usize = 36;

/// Random bytes of a segment that stand before each of its records: by them a reader finds the next record after damage.
/// Nobody who sends a payload knows them, so that no payload can look like records.
pub(crate) type Marker = [u8; 8];

/// What a segment is. It stands in its name and in its header, so that either can be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentId {
    /// Segments are read in the order of their numbers.
    pub number: u64,
    /// The first sequence that its records can have. Those of earlier segments are below it: what is not was never
    /// acknowledged as written.
    pub first: u64,
    pub marker: Marker,
}

impl SegmentId {
    pub(crate) fn name(&self) -> String {
        format!("{:016x}-{:016x}-{:016x}.segment", self.number, self.first, u64::from_be_bytes(self.marker))
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".segment")?.split('-');
        let mut hex = || {
            let part =
                parts.next().filter(|part| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            u64::from_str_radix(part, 16).ok()
        };
        let id = Self { number: hex()?, first: hex()?, marker: hex()?.to_be_bytes() };
        parts.next().is_none().then_some(id)
    }

    pub(crate) fn header(&self) -> [u8; SEGMENT_HEADER] {
        let mut header = Writer::<SEGMENT_HEADER>::default();
        header.put(MAGIC);
        header.put(&VERSION.to_le_bytes());
        header.put(&self.number.to_le_bytes());
        header.put(&self.first.to_le_bytes());
        header.put(&self.marker);
        header.checksum()
    }
}

/// What the beginning of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    Segment(SegmentId),
    Damaged,
    /// Written by a program that knows more than this one.
    LaterVersion,
}

impl Header {
    pub(crate) fn decode(header: &[u8; SEGMENT_HEADER]) -> Self {
        let decode = || {
            let mut fields = Fields::checked(header).filter(|fields| fields.0.starts_with(MAGIC))?;
            fields.take::<8>()?;
            if fields.u32()? > VERSION {
                return Some(Self::LaterVersion);
            }
            Some(Self::Segment(SegmentId { number: fields.u64()?, first: fields.u64()?, marker: fields.take()? }))
        };
        decode().unwrap_or(Self::Damaged)
    }
}

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What somebody appended.
    Payload,
    /// A [`Position`].
    Position,
}

/// What stands before each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub kind: Kind,
    /// Of the bytes behind the header.
    pub length: u32,
    /// Of a payload its own, each one more than the one before; of a position that of the next payload.
    pub sequence: u64,
    /// When it was appended, in milliseconds since 1970; never less than that of the record before.
    pub time: u64,
    /// The CRC-32 of what is behind the header.
    pub checksum: u32,
}

/// The highest bit of the length says that the record is a position.
const POSITION_BIT: u32 = 1 << 31;

impl RecordHeader {
    pub(crate) fn encode(&self, marker: Marker) -> [u8; RECORD_HEADER] {
        let kind = if self.kind == Kind::Position { POSITION_BIT } else { 0 };
        let mut header = Writer::<RECORD_HEADER>::default();
        header.put(&marker);
        header.put(&(self.length | kind).to_le_bytes());
        header.put(&self.sequence.to_le_bytes());
        header.put(&self.time.to_le_bytes());
        header.put(&self.checksum.to_le_bytes());
        header.checksum()
    }

    /// None where it is damaged, or not of this segment.
    pub(crate) fn decode(header: &[u8; RECORD_HEADER], marker: Marker) -> Option<Self> {
        let mut fields = Fields::checked(header)?;
        if fields.take::<8>()? != marker {
            return None;
        }
        let length = fields.u32()?;
        let kind = if length & POSITION_BIT == 0 { Kind::Payload } else { Kind::Position };
        Some(Self {
            kind,
            length: length & !POSITION_BIT,
            sequence: fields.u64()?,
            time: fields.u64()?,
            checksum: fields.u32()?,
        })
    }
}

/// What has been acknowledged: all below `next`, except for those that are `outstanding`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub next: u64,
    pub outstanding: BTreeSet<u64>,
}

impl Position {
    pub(crate) fn covers(&self, sequence: u64) -> bool {
        sequence < self.next && !self.outstanding.contains(&sequence)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        std::iter::once(&self.next).chain(&self.outstanding).flat_map(|sequence| sequence.to_le_bytes()).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let (next, outstanding) = words.split_first()?;
        let outstanding = outstanding.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Some(Self { next: u64::from_le_bytes(*next), outstanding })
    }
}

/// Fills an array, the last four bytes with the CRC-32 of those before.
struct Writer<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Default for Writer<N> {
    fn default() -> Self {
        Self { bytes: [0; N], filled: 0 }
    }
}

impl<const N: usize> Writer<N> {
    fn put(&mut self, field: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.filled).zip(field) {
            *place = *byte;
        }
        self.filled += field.len();
    }

    fn checksum(mut self) -> [u8; N] {
        debug_assert_eq!(self.filled + 4, N);
        let (fields, _) = self.bytes.split_at(self.filled);
        self.put(&crc32fast::hash(fields).to_le_bytes());
        self.bytes
    }
}

/// Reads what [`Writer`] wrote.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn checked(bytes: &'a [u8]) -> Option<Self> {
        let (fields, checksum) = bytes.split_last_chunk()?;
        (crc32fast::hash(fields) == u32::from_le_bytes(*checksum)).then_some(Self(fields))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_s_name_and_header_say_the_same() {
        let id = SegmentId { number: 7, first: u64::MAX - 1, marker: *b"\0marker\xff" };
        assert_eq!(SegmentId::from_name(&id.name()), Some(id));
        assert_eq!(Header::decode(&id.header()), Header::Segment(id));
        for name in ["", "lock", "1-2-3.segment", "000000000000000g-0000000000000000-0000000000000000.segment"] {
            assert_eq!(SegmentId::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_flipped_bit_in_a_header_is_seen() {
        let marker = *b"abcdefgh";
        let header = RecordHeader { kind: Kind::Position, length: 9, sequence: 3, time: 4, checksum: 5 };
        let bytes = header.encode(marker);
        assert_eq!(RecordHeader::decode(&bytes, marker), Some(header));
        assert_eq!(RecordHeader::decode(&bytes, *b"abcdefgi"), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&flipped, marker), None, "bit {bit}");
        }
    }

    #[test]
    fn a_position_is_read_as_written() {
        let position = Position { next: 9, outstanding: [2, 7].into() };
        assert_eq!(Position::decode(&position.encode()), Some(position.clone()));
        assert_eq!(Position::decode(b"short"), None);
        assert!(position.covers(8) && !position.covers(7) && !position.covers(9));
    }
}
