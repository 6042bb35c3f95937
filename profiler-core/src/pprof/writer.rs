//! A profile that is written part by part, compressed on the way: in memory it is never whole.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use prost::encoding::message;

use super::{Function, Location, Profile, Sample};

/// Bytes that are compressed at once.
const PIECE: usize = 32 << 10;
// The numbers of the fields of `Profile`.
const SAMPLE: u32 = 2;
const LOCATION: u32 = 4;
const FUNCTION: u32 = 5;

/// Writes a gzipped profile. Parts may come in any order, as in any protobuf message; texts keep theirs.
pub(crate) struct ProfileWriter {
    gzip: GzEncoder<Vec<u8>>,
    piece: Vec<u8>,
}

impl ProfileWriter {
    /// A profile of nothing so far.
    pub(crate) fn new() -> Self {
        Self { gzip: GzEncoder::new(Vec::new(), Compression::fast()), piece: Vec::with_capacity(2 * PIECE) }
    }

    pub(crate) fn sample(&mut self, sample: &Sample) -> io::Result<()> {
        self.part(SAMPLE, sample)
    }

    pub(crate) fn location(&mut self, location: &Location) -> io::Result<()> {
        self.part(LOCATION, location)
    }

    pub(crate) fn function(&mut self, function: &Function) -> io::Result<()> {
        self.part(FUNCTION, function)
    }

    /// Everything else, and the end.
    pub(crate) fn finish(mut self, rest: &Profile) -> io::Result<Vec<u8>> {
        rest.encode_raw(&mut self.piece);
        self.gzip.write_all(&self.piece)?;
        self.gzip.finish()
    }

    fn part(&mut self, field: u32, part: &impl Message) -> io::Result<()> {
        message::encode(field, part, &mut self.piece);
        if self.piece.len() >= PIECE {
            self.gzip.write_all(&self.piece)?;
            self.piece.clear();
        }
        Ok(())
    }
}
