//! Changing a label set: collect what to set, then build once.

use std::borrow::Cow;

use super::{LabelError, Labels};

/// Labels on their way to a [`Labels`]: set in any order, the last value of a name wins, an empty value deletes.
///
/// Setting appends; sorting happens once in [`build`](Self::build), so that a sender of very many labels costs
/// `n log n` and not `n²`.
#[derive(Debug, Default)]
pub struct LabelsBuilder<'a> {
    set: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> LabelsBuilder<'a> {
    /// Sets a label; an empty value deletes it.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        self.set.push((name.into(), value.into()));
    }

    /// As [`set`](Self::set), for bytes from the network.
    pub fn set_bytes(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), LabelError> {
        let (name, value) = utf8(name, value)?;
        self.set(name, value);
        Ok(())
    }

    /// Deletes a label; one that is not there is no error.
    pub fn remove(&mut self, name: impl Into<Cow<'a, str>>) {
        self.set(name, "");
    }

    /// The value that a name has by now.
    pub fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.set.iter().rev().find(|(set, _)| set == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The finished set.
    ///
    /// # Errors
    /// [`LabelError::TooLarge`] only.
    pub fn build(mut self) -> Result<Labels, LabelError> {
        // Stable: of equal names the one set last stands last.
        self.set.sort_by(|a, b| a.0.cmp(&b.0));
        let overwritten = |index: usize, name: &str| self.set.get(index + 1).is_some_and(|next| next.0 == name);
        let labels = (self.set.iter().enumerate())
            .filter(|(index, (name, value))| !value.is_empty() && !overwritten(*index, name))
            .map(|(_, (name, value))| (name.as_ref(), value.as_ref()));
        Labels::from_sorted(self.set.len(), labels)
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for LabelsBuilder<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(labels: I) -> Self {
        Self { set: labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

/// Names and values are text everywhere; bytes that are not are refused where they come in.
pub(super) fn utf8<'a>(name: &'a [u8], value: &'a [u8]) -> Result<(&'a str, &'a str), LabelError> {
    let name = str::from_utf8(name).map_err(|_| LabelError::InvalidName(String::from_utf8_lossy(name).into_owned()))?;
    let value = str::from_utf8(value).map_err(|_| LabelError::InvalidValue {
        name: name.to_owned(),
        value: String::from_utf8_lossy(value).into_owned(),
    })?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_wins_and_an_empty_one_deletes() {
        let mut builder = LabelsBuilder::default();
        builder.set("b", "1");
        builder.set("a", "1");
        builder.set("b", "2");
        builder.set("c", "3");
        builder.remove("c");
        builder.remove("never there");
        assert_eq!(builder.value("b"), Some("2"));
        assert_eq!(builder.value("c"), None);
        assert_eq!(builder.build().unwrap().to_string(), r#"{a="1", b="2"}"#);
    }

    #[test]
    fn a_set_can_be_changed() {
        let labels = Labels::from_pairs([("a", "1"), ("b", "2")]).unwrap();
        let mut builder = labels.to_builder();
        builder.set("a", "");
        assert_eq!(builder.build().unwrap().to_string(), r#"{b="2"}"#);
    }
}
