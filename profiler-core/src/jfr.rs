//! Java Flight Recorder: reads recordings of async-profiler and of the JDK, and makes pprof of them.
//!
//! A recording is a row of chunks. Each describes the layout of its own events and constants, so that nothing of a layout
//! is assumed here; what of it is known are names of classes and fields. Events come before the constants that they refer
//! to, and are added up by ids first: only what they need is then read of the constants.

mod budget;
mod contexts;
mod error;
mod events;
mod header;
mod kind;
mod layout;
mod metadata;
mod names;
mod places;
mod pools;
mod profile;
mod reader;
mod recording;
mod samples;
mod settings;
mod stacks;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::io;

use budget::Budget;
pub use contexts::Contexts;
pub use error::JfrError;
use error::Result;
pub use events::Event;
use events::{Tally, Told};
use header::Header;
pub use kind::{Kind, Measure};
pub(crate) use names::function as function_name;
use pools::Pools;
use reader::Reader;
pub use recording::Recording;
use samples::{Chunk, Samples};
pub use settings::Settings;

use crate::pprof::Packing;

type Hasher = rapidhash::fast::RandomState;
type IdMap<V> = HashMap<u64, V, Hasher>;

/// What is asked of a recording.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether samples have the label `thread`: the name of the thread in Java, else that of the kernel.
    pub threads: bool,
    /// The labels beside the recording, where there are some: `profile_id` and `span_name` come with them.
    pub contexts: Option<Contexts>,
    /// Whether functions are `java.lang.Thread.run` instead of `java/lang/Thread.run`, which Pyroscope's users know and
    /// its flame graphs are coloured by.
    pub dotted_names: bool,
    /// Most bytes of names, stacks and samples, roughly: those of one chunk, and those of all samples.
    pub memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: false, contexts: None, dotted_names: false, memory: 256 << 20 }
    }
}

/// What a recording holds.
pub struct Converted {
    /// When it begins, nanoseconds since 1970.
    pub start_nanos: u64,
    /// From its begin to its end.
    pub duration_nanos: u64,
    /// How it was taken.
    pub settings: Settings,
    /// How much was read of it.
    pub counts: Counts,
    /// Why the rest of it could not be read; what was read before is here all the same.
    pub broken: Option<JfrError>,
    samples: Samples,
}

/// One profile of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JfrProfile {
    /// What it counts.
    pub kind: Kind,
    /// The message, as it was to be packed.
    pub pprof: Vec<u8>,
}

/// How much was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of the recording.
    pub bytes: u64,
    /// Chunks, those included that are damaged.
    pub chunks: u64,
    /// Events that samples are made of.
    pub events: BTreeMap<Event, u64>,
    /// All others.
    pub skipped: u64,
    /// Events whose stack is not in the recording: they are in no profile.
    pub without_stack: u64,
}

/// Reads a recording.
///
/// # Errors
/// Where nothing could be read of it; of one that is damaged in a later place see [`Converted::broken`].
pub fn convert(recording: &dyn Recording, options: &Options) -> std::result::Result<Converted, JfrError> {
    let mut reader = Reader::new(recording)?;
    if reader.size() == 0 {
        return Err(JfrError::Empty);
    }
    let mut conversion = Conversion {
        options,
        converted: Converted {
            start_nanos: u64::MAX,
            duration_nanos: 0,
            settings: Settings::default(),
            counts: Counts { bytes: reader.size(), ..Counts::default() },
            broken: None,
            samples: Samples::default(),
        },
        end_nanos: 0,
    };
    let mut position = 0;
    while position < reader.size() {
        reader.bound(u64::MAX);
        reader.seek(position);
        match conversion.chunk(&mut reader) {
            Ok(end) => position = end,
            Err(error) => {
                conversion.converted.broken = Some(error);
                break;
            }
        }
    }
    conversion.finish()
}

impl Converted {
    /// The kinds of its profiles.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut seen = [false; Kind::ALL.len()];
        for (place, _) in &self.samples.sums {
            if let Some(seen) = seen.get_mut(place.kind as usize) {
                *seen = true;
            }
        }
        Kind::ALL.into_iter().zip(seen).filter_map(|(kind, seen)| seen.then_some(kind)).collect()
    }

    /// A profile for each kind, made one after the other.
    pub fn profiles(&self, packing: Packing) -> impl Iterator<Item = io::Result<JfrProfile>> {
        self.kinds().into_iter().map(move |kind| Ok(JfrProfile { kind, pprof: self.pprof(&[kind], packing)? }))
    }

    /// One profile of several kinds, with the sample types of all of them: a sample has zeros where there is nothing of a
    /// kind. Where two kinds have sample types of one name, the kinds' names are put before them.
    ///
    /// # Errors
    /// None that is known: writing to memory does not fail.
    pub fn pprof(&self, kinds: &[Kind], packing: Packing) -> io::Result<Vec<u8>> {
        profile::write(self, kinds, packing)
    }
}

struct Conversion<'o> {
    options: &'o Options,
    converted: Converted,
    end_nanos: u64,
}

impl Conversion<'_> {
    /// Reads the chunk at the position of the reader, and says where it ends.
    fn chunk(&mut self, reader: &mut Reader<'_>) -> Result<u64> {
        let header = Header::read(reader)?;
        self.converted.counts.chunks += 1;
        self.converted.start_nanos = self.converted.start_nanos.min(header.start_nanos);
        self.end_nanos = self.end_nanos.max(header.start_nanos.saturating_add(header.duration_nanos));

        let (mut metadata, mut constants) = (header.metadata, header.constants);
        let is_whole = metadata.is_some() && constants.is_some();
        if !is_whole {
            let found = events::search(reader, &header);
            (metadata, constants) = (metadata.or(found.0), constants.or(found.1));
        }
        let missing = || match header.is_cut {
            true => JfrError::CutShort(header.end),
            false => JfrError::Unfinished(header.start),
        };
        reader.bound(header.end);
        reader.seek(metadata.ok_or_else(missing)?);
        let mut classes = metadata::read(reader)?;

        let mut budget = Budget::new(self.options.memory);
        let told = Told { threads: self.options.threads, contexts: self.options.contexts.is_some() };
        let mut tally = Tally::default();
        let counts = &mut self.converted.counts;
        let events = tally.read(reader, &header, &mut classes, told, (counts, &mut budget));
        let mut pools = Pools::default();
        let last = constants.ok_or_else(missing)?;
        let constants = pools.read(reader, (&header, last), &mut classes, &tally.needed, &mut budget);

        self.converted.settings.update(&tally.settings, &classes, &pools);
        let exceeded = budget.exceeded(header.end);
        let chunk = Chunk { header: &header, settings: &self.converted.settings, options: self.options, pools, budget };
        self.converted.counts.without_stack += self.converted.samples.add(tally, chunk)?;
        if self.converted.samples.bytes() > self.options.memory {
            return Err(exceeded);
        }
        events.and(constants)?;
        if is_whole { Ok(header.end) } else { Err(missing()) }
    }

    fn finish(self) -> Result<Converted> {
        let mut converted = self.converted;
        match converted.broken.take() {
            Some(error) if converted.samples.sums.is_empty() => return Err(error),
            broken => converted.broken = broken,
        }
        converted.samples.finish();
        converted.duration_nanos = self.end_nanos.saturating_sub(converted.start_nanos);
        Ok(converted)
    }
}

#[cfg(test)]
mod tests;
