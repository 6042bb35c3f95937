//! The pprof message: `profile.proto` of github.com/google/pprof, and its gzip wrapping.
//!
//! The messages are declared here by hand with prost's derive: eight small structs are easier to read than
//! generated code, and no schema compiler is asked of whoever builds.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

pub mod delta;
pub mod edit;
pub(crate) mod fields;
mod footprint;
mod message;
mod outline;
pub(crate) mod packed;
pub(crate) mod sections;
pub(crate) mod writer;

pub use fields::Damaged;
pub use footprint::decoded_len;
pub use message::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};
pub use outline::Outline;
pub use writer::Packing;

/// Why bytes are no pprof.
#[derive(Debug, thiserror::Error)]
pub enum PprofError {
    /// The gzip stream is damaged or cut short.
    #[error("the profile's gzip stream is damaged: {0}")]
    Gzip(#[source] io::Error),
    /// More bytes than allowed, or more than allowed came out of the gzip stream.
    #[error("the profile holds more than the {0} bytes allowed once decompressed")]
    TooLarge(usize),
    /// Decoded it would take many times the memory that real profiles do; holds the bytes allowed.
    #[error("the profile's entries would take more than {0} bytes of memory once decoded")]
    TooManyEntries(usize),
    /// The protobuf message cannot be read.
    #[error("the profile is no pprof message: {0}")]
    Message(#[from] prost::DecodeError),
}

/// Whether bytes start as a gzip stream does (RFC 1952).
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

impl Profile {
    /// Reads a profile, gzipped or not; `limit` bounds the bytes after decompression, and with them the memory: a profile
    /// whose entries would take more than eight times the limit is refused before it is decoded.
    pub fn from_bytes(bytes: &Bytes, limit: usize) -> Result<Self, PprofError> {
        Self::from_message(decompress(bytes, limit)?, limit)
    }

    fn from_message(message: Bytes, limit: usize) -> Result<Self, PprofError> {
        // Stacks are what real profiles are made of: one byte of an id becomes eight.
        let memory = limit.saturating_mul(8);
        if decoded_len(&message) > memory {
            return Err(PprofError::TooManyEntries(memory));
        }
        Ok(Self::decode(message)?)
    }

    /// A string of the table; `None` where the index lies outside.
    pub fn text(&self, index: i64) -> Option<&str> {
        self.string_table.get(usize::try_from(index).ok()?).map(String::as_str)
    }

    /// A string of the table; `""` where the index lies outside.
    pub fn string(&self, index: i64) -> &str {
        self.text(index).unwrap_or_default()
    }

    /// The names of all functions, in the order of the table.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.function.iter().map(|function| self.string(function.name))
    }
}

/// At the fastest level: a profile goes to one backend, which compresses it anew for its store; the better levels cost
/// several times what all the rest does, for a tenth of the bytes.
///
/// # Errors
/// None that is known: writing to memory does not fail.
pub fn gzip(message: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message)?;
    encoder.finish()
}

/// The message of a profile, gzipped or not; `limit` bounds its bytes.
pub fn decompress(bytes: &Bytes, limit: usize) -> Result<Bytes, PprofError> {
    if !is_gzip(bytes) {
        return if bytes.len() > limit { Err(PprofError::TooLarge(limit)) } else { Ok(bytes.clone()) };
    }
    let mut message = Vec::new();
    let gzip = flate2::read::MultiGzDecoder::new(bytes.as_ref());
    // One byte over the limit tells a profile that is too large from one that just fits.
    gzip.take(limit as u64 + 1).read_to_end(&mut message).map_err(PprofError::Gzip)?;
    if message.len() > limit { Err(PprofError::TooLarge(limit)) } else { Ok(message.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            string_table: vec![String::new(), "burn".into(), "cpu".into()],
            function: vec![Function { id: 1, name: 1, ..Function::default() }],
            sample_type: vec![ValueType { kind: 2, unit: 0 }],
            sample: vec![Sample { location_id: vec![1], value: vec![7], label: vec![] }],
            ..Profile::default()
        }
    }

    fn gzip(bytes: &[u8]) -> Bytes {
        super::gzip(bytes).unwrap().into()
    }

    #[test]
    fn plain_and_gzipped_read_the_same() {
        let bytes = Bytes::from(profile().encode_to_vec());
        assert_eq!(Profile::from_bytes(&bytes, 1000).unwrap(), profile());
        assert_eq!(Profile::from_bytes(&gzip(&bytes), 1000).unwrap(), profile());
        assert_eq!(profile().function_names().collect::<Vec<_>>(), ["burn"]);
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let bomb = gzip(&vec![0; 1 << 24]);
        assert!(matches!(Profile::from_bytes(&bomb, 1 << 16), Err(PprofError::TooLarge(limit)) if limit == 1 << 16));
    }

    #[test]
    fn a_crowd_of_empty_entries_is_refused_before_it_is_decoded() {
        // Field 2, a sample, of no bytes: two bytes here, 72 in memory.
        let crowd = Bytes::from([0x12, 0x00].repeat(1000));
        assert!(matches!(Profile::from_bytes(&crowd, 2000), Err(PprofError::TooManyEntries(16_000))));
        assert_eq!(Profile::from_bytes(&crowd, 20_000).unwrap().sample.len(), 1000);
    }

    #[test]
    fn damage_is_an_error() {
        let whole = gzip(&profile().encode_to_vec());
        assert!(matches!(Profile::from_bytes(&whole.slice(..whole.len() - 9), 1000), Err(PprofError::Gzip(_))));
        assert!(matches!(Profile::from_bytes(&Bytes::from_static(b"\x0a\xff"), 1000), Err(PprofError::Message(_))));
    }
}
