//! The profiles that a filter looks into: decoded when it first asks, changed when its call is over.

use bytes::Bytes;
use profiler_core::pprof::edit::{Changes, Edited, Editing, LabelValue, Original, SampleLabel};
use profiler_core::pprof::{Function, Line, Location, PprofError, Profile, Sample, decoded_len, decompress, is_gzip};
use wasmtime::component::Resource;

use super::FilterError;
use super::bindings::profile::flamegate::filter::profile as guest;
use super::instance::HostState;
use crate::pipeline::Share;

/// Most bytes of a profile's message, decompressed. Decoded it takes up to eight times as much, on each of the few
/// threads that call filters of profiles.
pub const MAX_PROFILE: usize = 32 << 20;
/// Most entries of one answer.
const MOST_ENTRIES: usize = 16_384;
/// After so many bytes an answer ends.
const ANSWER_BYTES: usize = 1 << 20;

/// A profile in the hands of a filter.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings name it again as their own")]
pub struct Opened {
    encoded: Bytes,
    /// What it takes once it is open.
    memory: Share,
    /// Once it was asked for.
    editing: Option<Editing>,
}

impl Opened {
    /// Closed; the memory is the account that opening it is charged to.
    pub(super) fn new(encoded: Bytes, memory: Share) -> Self {
        Self { encoded, memory, editing: None }
    }

    /// What the filter's changes make of it.
    pub(super) fn finish(self) -> Result<Edited, FilterError> {
        match self.editing {
            None => Ok(Edited::Unchanged),
            Some(editing) => editing.finish().map_err(|error| FilterError::Unwritten(error.to_string())),
        }
    }
}

/// What a guest names by a number of the contract.
type Handle = Resource<Opened>;

/// Why a profile cannot be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unopened {
    Unreadable,
    NoMemory,
}

impl HostState {
    fn parts(&mut self, handle: &Handle) -> wasmtime::Result<(&Original, &mut Changes)> {
        let Opened { encoded, memory, editing } = self.profiles.get_mut(handle)?;
        let editing = match editing {
            Some(editing) => editing,
            None => match open(encoded, memory) {
                Ok(Some(opened)) => editing.insert(opened),
                Ok(None) => {
                    self.unopened = Some(Unopened::NoMemory);
                    wasmtime::bail!("no memory")
                }
                Err(error) => {
                    self.unopened = Some(Unopened::Unreadable);
                    return Err(error.into());
                }
            },
        };
        Ok(editing.parts())
    }

    fn original(&mut self, handle: &Handle) -> wasmtime::Result<&Original> {
        Ok(self.parts(handle)?.0)
    }

    fn changes(&mut self, handle: &Handle) -> wasmtime::Result<&mut Changes> {
        Ok(self.parts(handle)?.1)
    }
}

impl guest::Host for HostState {}

impl guest::HostProfile for HostState {
    fn sample_types(&mut self, handle: Handle) -> wasmtime::Result<Vec<guest::ValueType>> {
        let profile = self.original(&handle)?.profile();
        let named = |index| profile.string(index).to_owned();
        let types = profile.sample_type.iter().take(MOST_ENTRIES);
        Ok(types.map(|counted| guest::ValueType { kind: named(counted.kind), unit: named(counted.unit) }).collect())
    }

    fn function_count(&mut self, handle: Handle) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.original(&handle)?.profile().function.len())?)
    }

    fn sample_count(&mut self, handle: Handle) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.original(&handle)?.profile().sample.len())?)
    }

    fn functions(&mut self, handle: Handle, first: u32, count: u32) -> wasmtime::Result<Vec<guest::Function>> {
        let profile = self.original(&handle)?.profile();
        Ok(bounded(&profile.function, first, count, |function| {
            let name = function_name(profile, function).to_owned();
            let file = profile.string(function.filename).to_owned();
            let bytes = name.len() + file.len();
            (guest::Function { name, file, start_line: function.start_line }, bytes)
        }))
    }

    fn function_names(&mut self, handle: Handle, first: u32, count: u32) -> wasmtime::Result<Vec<String>> {
        let profile = self.original(&handle)?.profile();
        Ok(bounded(&profile.function, first, count, |function| {
            let name = function_name(profile, function);
            (name.to_owned(), name.len())
        }))
    }

    fn locations(&mut self, handle: Handle, first: u32, count: u32) -> wasmtime::Result<Vec<guest::Location>> {
        let original = self.original(&handle)?;
        Ok(bounded(&original.profile().location, first, count, |location| self::location(original, location)))
    }

    fn samples(&mut self, handle: Handle, first: u32, count: u32) -> wasmtime::Result<Vec<guest::Sample>> {
        let original = self.original(&handle)?;
        Ok(bounded(&original.profile().sample, first, count, |sample| self::sample(original, sample)))
    }

    fn sample_labels(
        &mut self,
        handle: Handle,
        first: u32,
        count: u32,
    ) -> wasmtime::Result<Vec<Vec<guest::SampleLabel>>> {
        let original = self.original(&handle)?;
        Ok(bounded(&original.profile().sample, first, count, |sample| labels(original, sample)))
    }

    fn drop_samples(&mut self, handle: Handle, samples: Vec<u32>) -> wasmtime::Result<()> {
        Ok(self.changes(&handle)?.drop_samples(places(samples))?)
    }

    fn rename_functions(&mut self, handle: Handle, renamings: Vec<guest::Renaming>) -> wasmtime::Result<()> {
        let changes = self.changes(&handle)?;
        for guest::Renaming { function, name, file } in renamings {
            changes.rename_function(function as usize, &name, file.as_deref())?;
        }
        Ok(())
    }

    fn set_sample_labels(&mut self, handle: Handle, relabellings: Vec<guest::Relabelling>) -> wasmtime::Result<()> {
        let changes = self.changes(&handle)?;
        for guest::Relabelling { sample, labels } in relabellings {
            let labels = labels.iter().map(|label| SampleLabel {
                key: &label.key,
                value: match &label.value {
                    guest::LabelValue::Text(text) => LabelValue::Text(text),
                    guest::LabelValue::Number(number) => LabelValue::Number(number.value, &number.unit),
                },
            });
            changes.set_sample_labels(sample as usize, labels)?;
        }
        Ok(())
    }

    fn drop_sample_types(&mut self, handle: Handle, types: Vec<u32>) -> wasmtime::Result<()> {
        Ok(self.changes(&handle)?.drop_sample_types(places(types))?)
    }

    /// Only what a guest owns is dropped by it, and profiles are lent.
    fn drop(&mut self, handle: Handle) -> wasmtime::Result<()> {
        Ok(self.profiles.delete(handle).map(drop)?)
    }
}

/// `None` where there is no memory for it.
fn open(encoded: &Bytes, memory: &mut Share) -> Result<Option<Editing>, PprofError> {
    let message = decompress(encoded, MAX_PROFILE)?;
    // As much again for spare capacity and for what is made of it.
    let wanted = message.len().saturating_add(decoded_len(&message).saturating_mul(2));
    if !memory.grow(wanted) {
        return Ok(None);
    }
    Editing::of_message(message, is_gzip(encoded), MAX_PROFILE).map(Some)
}

/// A range of a table, as far as one answer goes: each entry comes with its bytes.
fn bounded<E, G>(table: &[E], first: u32, count: u32, entry: impl Fn(&E) -> (G, usize)) -> Vec<G> {
    let mut taken = 0;
    let entries = table.iter().skip(first as usize).take((count as usize).min(MOST_ENTRIES));
    let counted = entries.map(entry).take_while(|(_, bytes)| {
        let goes_on = taken < ANSWER_BYTES;
        taken += bytes;
        goes_on
    });
    counted.map(|(entry, _)| entry).collect()
}

/// The name for people; where there is none, the one in the binary.
pub(crate) fn function_name<'a>(profile: &'a Profile, function: &Function) -> &'a str {
    match profile.string(function.name) {
        "" => profile.string(function.system_name),
        name => name,
    }
}

fn location(original: &Original, location: &Location) -> (guest::Location, usize) {
    let profile = original.profile();
    let line = |line: &Line| {
        // An id that no function has names nothing.
        let function = u32::try_from(original.function(line.function_id)?).ok()?;
        Some(guest::Line { function, number: line.line })
    };
    let lines: Vec<_> = location.line.iter().filter_map(line).collect();
    let mapped = original.mapping(location.mapping_id).and_then(|place| profile.mapping.get(place));
    let mapping = mapped.map(|mapping| profile.string(mapping.filename).to_owned()).unwrap_or_default();
    let bytes = mapping.len() + lines.len() * size_of::<guest::Line>();
    (guest::Location { address: location.address, mapping, lines }, bytes)
}

fn sample(original: &Original, sample: &Sample) -> (guest::Sample, usize) {
    let place = |id: &u64| u32::try_from(original.location(*id)?).ok();
    let stack: Vec<u32> = sample.location_id.iter().filter_map(place).collect();
    let (labels, bytes) = labels(original, sample);
    let bytes = bytes + size_of_val(&*stack) + size_of_val(&*sample.value);
    (guest::Sample { stack, values: sample.value.clone(), labels }, bytes)
}

fn labels(original: &Original, sample: &Sample) -> (Vec<guest::SampleLabel>, usize) {
    let mut bytes = 0;
    let label = |SampleLabel { key, value }| {
        let (value, value_bytes) = match value {
            LabelValue::Text(text) => (guest::LabelValue::Text(text.to_owned()), text.len()),
            LabelValue::Number(value, unit) => {
                (guest::LabelValue::Number(guest::Quantity { value, unit: unit.to_owned() }), unit.len())
            }
        };
        bytes += key.len() + value_bytes;
        guest::SampleLabel { key: key.to_owned(), value }
    };
    let labels = original.labels(sample).map(label).collect();
    (labels, bytes)
}

fn places(indexes: Vec<u32>) -> impl Iterator<Item = usize> {
    indexes.into_iter().map(|index| index as usize)
}
