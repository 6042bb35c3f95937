//! What a profile says of itself, told from its bytes without decoding its samples.

use prost::{DecodeError, Message};

use super::ValueType;
use super::footprint::next;

/// More kinds of values than profilers have, for a profile that is made of nothing else.
const MOST_TYPES: usize = 64;

/// What a profile says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The kinds of its values, such as `cpu`: the first 64.
    pub sample_types: Vec<String>,
    /// When it was taken, nanoseconds since 1970.
    pub time_nanos: i64,
}

impl Outline {
    /// Reads it off a message that is not gzipped.
    ///
    /// # Errors
    /// A message that is damaged.
    pub fn read(message: &[u8]) -> Result<Self, DecodeError> {
        let (mut kinds, mut time_nanos) = (Vec::new(), 0);
        let mut rest = message;
        while let Some((tag, field)) = next(&mut rest)? {
            match tag {
                1 if kinds.len() < MOST_TYPES => kinds.push(ValueType::decode(field)?.kind),
                9 => time_nanos = prost::encoding::decode_varint(&mut &*field)?.cast_signed(),
                _ => {}
            }
        }
        let mut sample_types = vec![String::new(); kinds.len()];
        let (mut rest, mut place) = (message, 0);
        while let Some((tag, field)) = next(&mut rest)? {
            if tag != 6 {
                continue;
            }
            for (_, text) in kinds.iter().zip(&mut sample_types).filter(|(kind, _)| **kind == place) {
                *text = String::from_utf8_lossy(field).into_owned();
            }
            place += 1;
        }
        Ok(Self { sample_types, time_nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pprof::{Profile, Sample};

    #[test]
    fn types_and_time_are_those_of_the_whole_profile() {
        let kind = |kind| ValueType { kind, unit: 0 };
        let profile = Profile {
            string_table: ["", "cpu", "samples", "cpu"].map(str::to_owned).to_vec(),
            sample_type: vec![kind(2), kind(1), kind(9), kind(-1), kind(2)],
            sample: vec![Sample { location_id: vec![1], value: vec![7], label: vec![] }],
            time_nanos: 1_700_000_000_000_000_000,
            ..Profile::default()
        };
        let bytes = profile.encode_to_vec();
        let outline = Outline::read(&bytes).unwrap();
        assert_eq!(outline.sample_types, ["samples", "cpu", "", "", "samples"]);
        assert_eq!(outline.time_nanos, profile.time_nanos);
        assert_eq!(Outline::read(b"").unwrap(), Outline::default());
        for cut in 1..bytes.len() {
            // Damaged or not, it is told or refused.
            let _told = Outline::read(&bytes[..cut]);
        }
        assert!(Outline::read(&[0x0b]).is_err());
    }
}
