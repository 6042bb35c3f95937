//! A CPU profile of the size that services send, the same bytes each time.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

const FUNCTIONS: u64 = 200;
/// With stacks of 8 to 24 frames chosen at random this makes about 20 KB of gzip.
const SAMPLES: usize = 530;
const SEED: u64 = 7;

/// A gzip-compressed profile of about 20 KB that hardly compresses further.
pub(crate) fn gzip() -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&profile().encode_to_vec())?;
    encoder.finish()
}

fn profile() -> Profile {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut strings = Strings::default();
    let samples_count = ValueType { r#type: strings.index("samples"), unit: strings.index("count") };
    let cpu = ValueType { r#type: strings.index("cpu"), unit: strings.index("nanoseconds") };
    let mapping = Mapping { id: 1, filename: strings.index("/usr/bin/checkout"), has_functions: true };
    let function = (1..=FUNCTIONS)
        .map(|id| {
            let name = strings.index(&format!("shop.(*Order{id}).step{:x}", random.u32(..)));
            let filename = strings.index(&format!("shop/order{}.go", id % 40));
            Function { id, name, system_name: name, filename, start_line: random.i64(1..2000) }
        })
        .collect();
    let location = (1..=FUNCTIONS)
        .map(|id| Location {
            id,
            mapping_id: 1,
            address: 0x40_0000 + random.u64(..1 << 22),
            line: vec![Line { function_id: id, line: random.i64(1..2000) }],
        })
        .collect();
    let sample = (0..SAMPLES)
        .map(|_| {
            let depth = random.usize(8..=24);
            let count = random.i64(1..100);
            Sample {
                location_id: (0..depth).map(|_| random.u64(1..=FUNCTIONS)).collect(),
                value: vec![count, count * 10_000_000],
            }
        })
        .collect();
    Profile {
        sample_type: vec![samples_count, cpu],
        sample,
        mapping: vec![mapping],
        location,
        function,
        string_table: strings.0,
        time_nanos: 1_700_000_000_000_000_000,
        duration_nanos: 10_000_000_000,
        period_type: Some(cpu),
        period: 10_000_000,
    }
}

/// The first string of a profile is the empty one.
struct Strings(Vec<String>);

impl Default for Strings {
    fn default() -> Self {
        Self(vec![String::new()])
    }
}

impl Strings {
    fn index(&mut self, text: &str) -> i64 {
        let index = self.0.iter().position(|known| known == text).unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        // A table in memory has fewer entries than i64 has values.
        index as i64
    }
}

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
    #[prost(int64, tag = "5")]
    start_line: i64,
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn compressed_profile_has_the_size_and_the_references_of_a_real_one() {
        let compressed = gzip().unwrap();
        assert!((19_000..22_000).contains(&compressed.len()), "{} bytes", compressed.len());

        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(compressed.as_slice()).read_to_end(&mut plain).unwrap();
        let profile = Profile::decode(plain.as_slice()).unwrap();
        assert_eq!(profile.string_table[0], "");
        let strings = profile.string_table.len() as i64;
        assert!(profile.function.iter().all(|f| (1..strings).contains(&f.name) && (1..strings).contains(&f.filename)));
        assert!(profile.sample.iter().all(|s| {
            s.value.len() == profile.sample_type.len()
                && s.location_id.iter().all(|id| profile.location.iter().any(|location| location.id == *id))
        }));
    }

    #[test]
    fn each_call_makes_the_same_bytes() {
        assert_eq!(gzip().unwrap(), gzip().unwrap());
    }
}
