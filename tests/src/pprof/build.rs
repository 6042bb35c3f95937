//! Small valid profiles for tests.

use std::collections::HashMap;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;

use crate::gzip;
use profiler_core::pprof::{Function, Label, Line, Location, Profile, Sample, ValueType};

/// Builds a profile whose references are right by construction: functions, their locations and all strings
/// are entered once, when first named.
#[derive(Debug, Clone)]
pub struct ProfileBuilder {
    profile: Profile,
    strings: HashMap<String, i64>,
    locations: HashMap<String, u64>,
}

impl ProfileBuilder {
    /// A profile of these (kind, unit) pairs, collected over the last ten seconds.
    #[must_use]
    pub fn new(sample_types: &[(&str, &str)]) -> Self {
        let profile = Profile {
            string_table: vec![String::new()],
            time_nanos: nanoseconds_since_1970(),
            duration_nanos: 10_000_000_000,
            period: 10_000_000,
            ..Profile::default()
        };
        let strings = HashMap::from([(String::new(), 0)]);
        let mut builder = Self { profile, strings, locations: HashMap::new() };
        for &(kind, unit) in sample_types {
            let value_type = ValueType { kind: builder.string(kind), unit: builder.string(unit) };
            builder.profile.sample_type.push(value_type);
        }
        builder.profile.period_type = builder.profile.sample_type.first().copied();
        builder
    }

    /// A CPU profile.
    #[must_use]
    pub fn cpu() -> Self {
        Self::new(&[("cpu", "nanoseconds")])
    }

    /// A heap profile, with the four sample types of Go's.
    #[must_use]
    pub fn heap() -> Self {
        let (count, bytes) = ("count", "bytes");
        let types = [("alloc_objects", count), ("alloc_space", bytes)];
        let in_use = [("inuse_objects", count), ("inuse_space", bytes)];
        Self::new(&[types, in_use].concat())
    }

    /// Adds a stack (leaf first) with one value for each sample type.
    #[must_use]
    pub fn sample(mut self, stack: &[&str], values: &[i64], labels: &[(&str, &str)]) -> Self {
        let location_id = stack.iter().map(|function| self.location(function)).collect();
        let label = labels
            .iter()
            .map(|(key, text)| Label { key: self.string(key), str: self.string(text), ..Label::default() })
            .collect();
        self.profile.sample.push(Sample { location_id, value: values.to_vec(), label });
        self
    }

    /// Adds strings that no gzip makes smaller, for bodies of a wanted size.
    #[must_use]
    pub fn padding(mut self, bytes: usize) -> Self {
        // xorshift64: the same padding in every run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(&format!("{state:016x}"));
        }
        text.truncate(bytes);
        let padding = self.string(&text);
        self.profile.comment.push(padding);
        self
    }

    /// The profile.
    #[must_use]
    pub fn build(self) -> Profile {
        self.profile
    }

    /// The profile's bytes.
    #[must_use]
    pub fn encode(self) -> Bytes {
        self.profile.encode_to_vec().into()
    }

    /// The profile's bytes as most SDKs send them.
    ///
    /// # Errors
    /// As [`gzip::compress`].
    pub fn gzip(self) -> io::Result<Bytes> {
        gzip::compress(&self.profile.encode_to_vec()).map(Bytes::from)
    }

    fn string(&mut self, text: &str) -> i64 {
        if let Some(&index) = self.strings.get(text) {
            return index;
        }
        let index = i64::try_from(self.profile.string_table.len()).unwrap_or(i64::MAX);
        self.profile.string_table.push(text.to_owned());
        self.strings.insert(text.to_owned(), index);
        index
    }

    fn location(&mut self, function: &str) -> u64 {
        if let Some(&id) = self.locations.get(function) {
            return id;
        }
        let id = self.profile.location.len() as u64 + 1;
        let name = self.string(function);
        let filename = self.string("program.rs");
        let entered = Function { id, name, system_name: name, filename, start_line: 1 };
        self.profile.function.push(entered);
        let line = vec![Line { function_id: id, line: 2, column: 0 }];
        self.profile.location.push(Location { id, address: id * 16, line, ..Location::default() });
        self.locations.insert(function.to_owned(), id);
        id
    }
}

fn nanoseconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
