//! A CPU profile of the size that services send, the same bytes each time.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use profiler_core::pprof::{Function, Line, Location, Mapping, Profile, Sample, ValueType};
use prost::Message;

/// Functions of a small service that a profile of it names.
pub(crate) const FUNCTIONS: u64 = 200;
/// With stacks of 8 to 24 frames chosen at random this makes about 20 KB of gzip.
pub(crate) const SAMPLES: usize = 530;
const SEED: u64 = 7;

/// A gzip-compressed profile of so many samples that hardly compresses further.
pub(crate) fn gzip(samples: usize) -> std::io::Result<Vec<u8>> {
    gzip_of(samples, FUNCTIONS)
}

/// The same with stacks of so many functions.
pub(crate) fn gzip_of(samples: usize, functions: u64) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&profile(samples, functions).encode_to_vec())?;
    encoder.finish()
}

fn profile(samples: usize, functions: u64) -> Profile {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut strings = Strings::default();
    let samples_count = ValueType { kind: strings.index("samples"), unit: strings.index("count") };
    let cpu = ValueType { kind: strings.index("cpu"), unit: strings.index("nanoseconds") };
    let mapping =
        Mapping { id: 1, filename: strings.index("/usr/bin/checkout"), has_functions: true, ..Mapping::default() };
    let function = (1..=functions)
        .map(|id| {
            let name = strings.index(&format!("shop.(*Order{id}).step{:x}", random.u32(..)));
            let filename = strings.index(&format!("shop/order{}.go", id % 40));
            Function { id, name, system_name: name, filename, start_line: random.i64(1..2000) }
        })
        .collect();
    let location = (1..=functions)
        .map(|id| Location {
            id,
            mapping_id: 1,
            address: 0x40_0000 + random.u64(..1 << 22),
            line: vec![Line { function_id: id, line: random.i64(1..2000), column: 0 }],
            is_folded: false,
        })
        .collect();
    let sample = (0..samples)
        .map(|_| {
            let depth = random.usize(8..=24);
            let count = random.i64(1..100);
            Sample {
                location_id: (0..depth).map(|_| random.u64(1..=functions)).collect(),
                value: vec![count, count * 10_000_000],
                label: Vec::new(),
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
        ..Profile::default()
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn compressed_profile_has_the_size_and_the_references_of_a_real_one() {
        let compressed = gzip(SAMPLES).unwrap();
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
        assert_eq!(gzip(SAMPLES).unwrap(), gzip(SAMPLES).unwrap());
    }
}
