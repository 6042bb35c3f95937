//! What is to be changed, gathered until all of it is known.

use std::collections::HashMap;

use indexmap::IndexSet;
use rapidhash::fast::RandomState;

use super::{LabelValue, SampleLabel};
use crate::pprof::{Label, Profile};

/// Why a change is refused. The changes before it stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A place that the profile does not have.
    #[error("there is no {kind} at place {place}: the profile has {count}, and places count from 0")]
    NoSuchPlace {
        /// Of what.
        kind: &'static str,
        /// The place.
        place: usize,
        /// How many there are.
        count: usize,
    },
    /// Texts and labels of the changes take more than this many bytes.
    #[error("the new texts and labels take more than the {0} bytes allowed")]
    TooLarge(usize),
}

/// The changes of one profile. Of two changes of the same thing the last counts.
#[derive(Debug)]
pub struct Changes {
    pub(super) samples: Dropped,
    pub(super) sample_types: Dropped,
    pub(super) renamed: HashMap<usize, Renaming, RandomState>,
    pub(super) relabelled: HashMap<usize, Vec<Label>, RandomState>,
    /// Texts of the changes. Their indexes go on where the profile's own end.
    pub(super) texts: IndexSet<Box<str>, RandomState>,
    first_text: i64,
    functions: usize,
    /// Bytes that texts and labels may still take.
    left: usize,
    limit: usize,
}

/// Entries of a table that go.
#[derive(Debug)]
pub(super) struct Dropped {
    kind: &'static str,
    count: usize,
    /// For each entry whether it goes; empty while none does.
    pub(super) marks: Vec<bool>,
}

/// A function's new texts.
#[derive(Debug)]
pub(super) struct Renaming {
    pub(super) name: i64,
    pub(super) file: Option<i64>,
}

/// What a text takes beside its bytes, about.
const TEXT_OVERHEAD: usize = 48;

impl Changes {
    pub(super) fn new(profile: &Profile, limit: usize) -> Self {
        Self {
            samples: Dropped { kind: "sample", count: profile.sample.len(), marks: Vec::new() },
            sample_types: Dropped { kind: "sample type", count: profile.sample_type.len(), marks: Vec::new() },
            renamed: HashMap::default(),
            relabelled: HashMap::default(),
            texts: IndexSet::default(),
            first_text: profile.string_table.len() as i64,
            functions: profile.function.len(),
            left: limit,
            limit,
        }
    }

    /// Drops samples.
    pub fn drop_samples(&mut self, places: impl IntoIterator<Item = usize>) -> Result<(), ChangeError> {
        self.samples.drop_all(places)
    }

    /// Drops sample types, and with them their values in each sample.
    pub fn drop_sample_types(&mut self, places: impl IntoIterator<Item = usize>) -> Result<(), ChangeError> {
        self.sample_types.drop_all(places)
    }

    /// Gives a function another name, in place of the one for people and of the one in the binary, and another file
    /// where there is one.
    pub fn rename_function(&mut self, place: usize, name: &str, file: Option<&str>) -> Result<(), ChangeError> {
        check("function", place, self.functions)?;
        let name = self.text(name)?;
        let file = file.map(|file| self.text(file)).transpose()?;
        self.renamed.insert(place, Renaming { name, file });
        Ok(())
    }

    /// Gives a sample these labels in place of all that it has.
    pub fn set_sample_labels<'a>(
        &mut self,
        place: usize,
        labels: impl IntoIterator<Item = SampleLabel<'a>>,
    ) -> Result<(), ChangeError> {
        check(self.samples.kind, place, self.samples.count)?;
        if let Some(earlier) = self.relabelled.remove(&place) {
            self.left += size_of_val(earlier.as_slice());
        }
        let mut relabelled = Vec::new();
        for label in labels {
            self.pay(size_of::<Label>())?;
            let key = self.text(label.key)?;
            relabelled.push(match label.value {
                LabelValue::Text("") => continue,
                LabelValue::Text(text) => Label { key, str: self.text(text)?, ..Label::default() },
                LabelValue::Number(num, unit) => Label { key, num, num_unit: self.text(unit)?, ..Label::default() },
            });
        }
        self.relabelled.insert(place, relabelled);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<i64, ChangeError> {
        if text.is_empty() {
            return Ok(0);
        }
        let index = match self.texts.get_index_of(text) {
            Some(index) => index,
            None => {
                self.pay(text.len() + TEXT_OVERHEAD)?;
                self.texts.insert_full(text.into()).0
            }
        };
        Ok(self.first_text + index as i64)
    }

    fn pay(&mut self, bytes: usize) -> Result<(), ChangeError> {
        self.left = self.left.checked_sub(bytes).ok_or(ChangeError::TooLarge(self.limit))?;
        Ok(())
    }
}

impl Dropped {
    fn drop_all(&mut self, places: impl IntoIterator<Item = usize>) -> Result<(), ChangeError> {
        for place in places {
            check(self.kind, place, self.count)?;
            self.marks.resize(self.count, false);
            if let Some(mark) = self.marks.get_mut(place) {
                *mark = true;
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, place: usize) -> bool {
        self.marks.get(place).copied().unwrap_or(false)
    }
}

fn check(kind: &'static str, place: usize, count: usize) -> Result<(), ChangeError> {
    if place < count { Ok(()) } else { Err(ChangeError::NoSuchPlace { kind, place, count }) }
}
