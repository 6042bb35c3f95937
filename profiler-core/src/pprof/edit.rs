//! Changing what is inside a profile: it is opened once, read as it was handed in, and changed as a whole at the end.
//!
//! Samples and functions are named by their place in the profile's tables, from 0. What a profile of a stranger may hold
//! is borne: an id that no table has leads nowhere, an index outside of the strings is the empty text.

use std::io;

use bytes::Bytes;
use prost::Message;

use self::places::Places;
use super::{Label, PprofError, Profile, Sample, decompress, gzip, is_gzip};

mod apply;
mod changes;
mod compact;
mod merge;
mod places;

pub use changes::{ChangeError, Changes};

/// A profile that is being changed.
///
/// ```
/// use profiler_core::pprof::edit::{Edited, Editing};
/// # use prost::Message;
/// # use profiler_core::pprof::{Function, Line, Location, Profile, Sample, ValueType};
/// # let profile = Profile {
/// #     sample_type: vec![ValueType { kind: 1, unit: 2 }],
/// #     sample: vec![Sample { location_id: vec![1], value: vec![7], label: vec![] }],
/// #     location: vec![Location { id: 1, line: vec![Line { function_id: 1, ..Line::default() }], ..Location::default() }],
/// #     function: vec![Function { id: 1, name: 3, ..Function::default() }],
/// #     string_table: ["", "cpu", "nanoseconds", "secret"].map(String::from).to_vec(),
/// #     ..Profile::default()
/// # };
/// # let bytes = bytes::Bytes::from(profile.encode_to_vec());
/// let mut editing = Editing::open(&bytes, 1 << 20)?;
/// let (original, changes) = editing.parts();
/// for (place, name) in original.profile().function_names().enumerate() {
///     if name.starts_with("secret") {
///         changes.rename_function(place, "redacted", None)?;
///     }
/// }
/// assert!(matches!(editing.finish()?, Edited::Changed(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Editing {
    original: Original,
    changes: Changes,
}

/// A profile as it was handed in.
#[derive(Debug)]
pub struct Original {
    profile: Profile,
    gzipped: bool,
    locations: Places,
    functions: Places,
    mappings: Places,
}

/// A label of a sample. One key may stand in a sample several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleLabel<'a> {
    /// Its name.
    pub key: &'a str,
    /// What it says.
    pub value: LabelValue<'a>,
}

/// What a label of a sample says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelValue<'a> {
    /// A text. One that is empty is no label: pprof has no way to write it.
    Text(&'a str),
    /// A number and its unit, for example `bytes`; the unit may be empty.
    Number(i64, &'a str),
}

/// What became of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// Nothing was changed: what was handed in still holds, to the byte.
    Unchanged,
    /// No sample or no sample type is left.
    Empty,
    /// The profile, gzipped if the one handed in was.
    Changed(Bytes),
}

/// The changed profile could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the changed profile cannot be compressed: {0}")]
pub struct FinishError(#[source] io::Error);

impl Editing {
    /// Opens a profile, gzipped or not. `limit` bounds its bytes after decompression, the memory as
    /// [`Profile::from_bytes`] says, and the texts and labels of the changes.
    pub fn open(bytes: &Bytes, limit: usize) -> Result<Self, PprofError> {
        Self::of_message(decompress(bytes, limit)?, is_gzip(bytes), limit)
    }

    /// As [`open`](Self::open), for a message that was decompressed already; `gzipped` says whether what comes of it is
    /// to be compressed again.
    pub fn of_message(message: Bytes, gzipped: bool, limit: usize) -> Result<Self, PprofError> {
        let mut profile = Profile::from_message(message, limit)?;
        mend_texts(&mut profile);
        let changes = Changes::new(&profile, limit);
        let original = Original {
            gzipped,
            locations: Places::of(profile.location.iter().map(|location| location.id)),
            functions: Places::of(profile.function.iter().map(|function| function.id)),
            mappings: Places::of(profile.mapping.iter().map(|mapping| mapping.id)),
            profile,
        };
        Ok(Self { original, changes })
    }

    /// The profile as it was handed in, whatever was changed meanwhile.
    pub fn original(&self) -> &Original {
        &self.original
    }

    /// What is to be changed.
    pub fn changes(&mut self) -> &mut Changes {
        &mut self.changes
    }

    /// Both, for changing while reading.
    pub fn parts(&mut self) -> (&Original, &mut Changes) {
        (&self.original, &mut self.changes)
    }

    /// Makes all changes, and takes away what no sample refers to any more: locations, functions, mappings and texts.
    /// Ids stay. The first mapping stays too: by pprof's custom it is the program.
    ///
    /// Where labels were changed, samples of the same locations and labels are merged into the first of them: their
    /// values are added up, up to the largest number.
    pub fn finish(self) -> Result<Edited, FinishError> {
        let Self { mut original, changes } = self;
        let applied = apply::apply(&mut original.profile, changes);
        if !applied.anything {
            return Ok(Edited::Unchanged);
        }
        if original.profile.sample.is_empty() || original.profile.sample_type.is_empty() {
            return Ok(Edited::Empty);
        }
        compact::compact(&mut original);
        if applied.labels {
            merge::merge(&mut original.profile.sample);
        }
        let message = original.profile.encode_to_vec();
        let bytes = if original.gzipped { gzip(&message).map_err(FinishError)? } else { message };
        Ok(Edited::Changed(bytes.into()))
    }
}

impl Original {
    /// The message.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The place of the location of this id. Of several with one id it is the last.
    pub fn location(&self, id: u64) -> Option<usize> {
        self.locations.place(id)
    }

    /// The place of the function of this id.
    pub fn function(&self, id: u64) -> Option<usize> {
        self.functions.place(id)
    }

    /// The place of the mapping of this id.
    pub fn mapping(&self, id: u64) -> Option<usize> {
        self.mappings.place(id)
    }

    /// The labels of a sample of this profile, in its order.
    pub fn labels<'a>(&'a self, sample: &'a Sample) -> impl Iterator<Item = SampleLabel<'a>> {
        labels(&self.profile, &sample.label)
    }
}

/// Afterwards the first text is the empty one, and each index lies inside the table.
fn mend_texts(profile: &mut Profile) {
    if profile.string_table.first().is_none_or(|first| !first.is_empty()) {
        // Against the format; Pyroscope reads it as if the empty text stood before the others, and so is it here.
        compact::intern(profile);
        return;
    }
    let table = std::mem::take(&mut profile.string_table);
    let missing =
        |index: i64| usize::try_from(index).ok().and_then(|index| table.get(index)).is_none_or(String::is_empty);
    compact::for_each_text(profile, |index| {
        if missing(*index) {
            *index = 0;
        }
    });
    profile.string_table = table;
}

fn labels<'a>(profile: &'a Profile, labels: &'a [Label]) -> impl Iterator<Item = SampleLabel<'a>> {
    labels.iter().map(|label| SampleLabel {
        key: profile.string(label.key),
        value: match label.str {
            0 => LabelValue::Number(label.num, profile.string(label.num_unit)),
            text => LabelValue::Text(profile.string(text)),
        },
    })
}

#[cfg(test)]
mod tests;
