//! A profile that is written part by part, compressed on the way: in memory it is never whole.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len, message};

use super::{Function, Label, Location, Profile};

/// Bytes that are compressed at once.
const PIECE: usize = 32 << 10;
// The numbers of the fields of `Profile`.
const SAMPLE: u32 = 2;
const LOCATION: u32 = 4;
const FUNCTION: u32 = 5;
// And of `Sample`.
const LOCATION_IDS: u32 = 1;
const VALUES: u32 = 2;
const LABEL: u32 = 3;

/// What becomes of a message's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    Plain,
    /// They are compressed, quickly rather than well.
    Gzip,
}

/// Writes a profile. Parts may come in any order, as in any protobuf message; texts keep theirs.
pub(crate) struct ProfileWriter {
    output: Output,
    piece: Vec<u8>,
}

enum Output {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl ProfileWriter {
    /// A profile of nothing so far.
    pub(crate) fn new(packing: Packing) -> Self {
        let output = match packing {
            Packing::Plain => Output::Plain(Vec::new()),
            Packing::Gzip => Output::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
        };
        Self { output, piece: Vec::with_capacity(2 * PIECE) }
    }

    /// A sample; the ids of its locations are packed already, and no value is negative.
    pub(crate) fn sample(&mut self, locations: &[u8], values: &[u64], labels: &[Label]) -> io::Result<()> {
        let packed = |field, length: usize| key_len(field) + encoded_len_varint(length as u64) + length;
        let value_bytes = values.iter().map(|value| encoded_len_varint(*value)).sum();
        let labelled: usize = labels.iter().map(|label| message::encoded_len(LABEL, label)).sum();
        let length = packed(LOCATION_IDS, locations.len()) + packed(VALUES, value_bytes) + labelled;

        self.head(SAMPLE, length);
        self.head(LOCATION_IDS, locations.len());
        self.piece.extend_from_slice(locations);
        self.head(VALUES, value_bytes);
        values.iter().for_each(|value| encode_varint(*value, &mut self.piece));
        labels.iter().for_each(|label| message::encode(LABEL, label, &mut self.piece));
        self.end_part()
    }

    fn head(&mut self, field: u32, length: usize) {
        encode_key(field, WireType::LengthDelimited, &mut self.piece);
        encode_varint(length as u64, &mut self.piece);
    }

    pub(crate) fn location(&mut self, location: &Location) -> io::Result<()> {
        message::encode(LOCATION, location, &mut self.piece);
        self.end_part()
    }

    pub(crate) fn function(&mut self, function: &Function) -> io::Result<()> {
        message::encode(FUNCTION, function, &mut self.piece);
        self.end_part()
    }

    /// Everything else, and the end.
    pub(crate) fn finish(mut self, rest: &Profile) -> io::Result<Vec<u8>> {
        rest.encode_raw(&mut self.piece);
        self.write_piece()?;
        match self.output {
            Output::Plain(message) => Ok(message),
            Output::Gzip(gzip) => gzip.finish(),
        }
    }

    fn end_part(&mut self) -> io::Result<()> {
        if self.piece.len() < PIECE {
            return Ok(());
        }
        self.write_piece()
    }

    fn write_piece(&mut self) -> io::Result<()> {
        match &mut self.output {
            Output::Plain(message) => message.extend_from_slice(&self.piece),
            Output::Gzip(gzip) => gzip.write_all(&self.piece)?,
        }
        self.piece.clear();
        Ok(())
    }
}
