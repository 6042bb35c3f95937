//! The label set of a series: sorted by the bytes of the names, each name once, cheap to clone, hashed once.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

mod builder;

pub use builder::LabelsBuilder;

/// The name of the profile type (`process_cpu`, `memory`, …) or, on `/ingest`, of the application.
pub const NAME: &str = "__name__";
/// The label every backend demands: what the profile belongs to.
pub const SERVICE_NAME: &str = "service_name";

/// Most bytes of all names and values of one set together.
///
/// Offsets are 32 bits wide; a series with a mebibyte of labels is a fault of its sender in any case.
pub const MAX_BYTES: usize = 1 << 20;

/// An immutable label set. Clones share one allocation.
///
/// ```
/// use profiler_core::labels::Labels;
/// let labels = Labels::from_pairs([("service_name", "shop"), ("__name__", "process_cpu")])?;
/// assert_eq!(labels.value("service_name"), Some("shop"));
/// assert_eq!(labels.to_string(), r#"{__name__="process_cpu", service_name="shop"}"#);
/// # Ok::<(), profiler_core::labels::LabelError>(())
/// ```
#[derive(Clone)]
pub struct Labels(Arc<Inner>);

struct Inner {
    hash: u64,
    /// Names and values one after another, in order.
    text: Box<str>,
    /// Where in `text` each name and each value ends: two for each label.
    ends: Box<[u32]>,
}

/// Why bytes are no label set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A name that is not UTF-8.
    #[error("invalid label name: {0}: not UTF-8")]
    InvalidName(String),
    /// A value that is not UTF-8; holds the label's name and the value with U+FFFD for what was wrong.
    #[error("invalid label value for {name}: {value}")]
    InvalidValue {
        /// Whose value it is.
        name: String,
        /// The value, bad bytes replaced.
        value: String,
    },
    /// One name twice.
    #[error("duplicate label name: {0}")]
    DuplicateName(String),
    /// More than [`MAX_BYTES`] of names and values.
    #[error("labels hold {0} bytes, more than the {MAX_BYTES} allowed")]
    TooLarge(usize),
    /// Offsets that do not cut their text into names and values.
    #[error("{offsets} offsets do not cut {bytes} bytes of text into names and values")]
    Cut {
        /// How many offsets there are.
        offsets: usize,
        /// How long the text is.
        bytes: usize,
    },
}

static EMPTY: LazyLock<Labels> = LazyLock::new(|| Labels::new(Box::from(""), Box::default()));

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        EMPTY.clone()
    }

    /// Labels in any order; a name that comes twice is an error, an empty value is kept.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, LabelError>
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let pairs: Vec<(N, V)> = pairs.into_iter().collect();
        let mut labels = Vec::with_capacity(pairs.len());
        for (name, value) in &pairs {
            labels.push(builder::utf8(name.as_ref(), value.as_ref())?);
        }
        labels.sort_by_key(|label| label.0);
        if let Some(twice) = labels.windows(2).find_map(|pair| match pair {
            [(a, _), (b, _)] if a == b => Some(*a),
            _ => None,
        }) {
            return Err(LabelError::DuplicateName(twice.to_owned()));
        }
        Self::from_sorted(labels.len(), labels.into_iter())
    }

    /// Names and values one after another, and where in the text each of them ends. What is sorted, unique and without
    /// empty values is taken as it is; an empty value deletes its label.
    pub fn from_packed(text: String, ends: Vec<u32>) -> Result<Self, LabelError> {
        if text.len() > MAX_BYTES {
            return Err(LabelError::TooLarge(text.len()));
        }
        let uncut = || LabelError::Cut { offsets: ends.len(), bytes: text.len() };
        if !ends.len().is_multiple_of(2) || ends.last().map_or(0, |end| *end as usize) != text.len() {
            return Err(uncut());
        }
        let mut labels: Vec<(&str, &str)> = Vec::with_capacity(ends.len() / 2);
        let (mut start, mut is_canonical) = (0, true);
        for pair in ends.chunks_exact(2) {
            let &[name_end, value_end] = pair else { return Err(uncut()) };
            let part = |from: u32, to: u32| text.get(from as usize..to as usize).ok_or_else(uncut);
            let (name, value) = (part(start, name_end)?, part(name_end, value_end)?);
            is_canonical &= !value.is_empty() && labels.last().is_none_or(|(before, _)| *before < name);
            labels.push((name, value));
            start = value_end;
        }
        if is_canonical {
            drop(labels);
            return Ok(Self::new(text.into_boxed_str(), ends.into_boxed_slice()));
        }
        Self::from_pairs(labels.into_iter().filter(|(_, value)| !value.is_empty()))
    }

    /// Labels that are sorted and unique already.
    fn from_sorted<'a>(
        count: usize,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<Self, LabelError> {
        let bytes = labels.clone().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_BYTES {
            return Err(LabelError::TooLarge(bytes));
        }
        let mut text = String::with_capacity(bytes);
        let mut ends = Vec::with_capacity(2 * count);
        for part in labels.flat_map(<[&str; 2]>::from) {
            text.push_str(part);
            ends.push(text.len() as u32);
        }
        Ok(Self::new(text.into_boxed_str(), ends.into_boxed_slice()))
    }

    fn new(text: Box<str>, ends: Box<[u32]>) -> Self {
        let mut hasher = rapidhash::fast::RapidHasher::default();
        hasher.write(text.as_bytes());
        for label in ends.chunks_exact(2) {
            // The same text cut elsewhere is another set.
            hasher.write_u64(label.iter().fold(0, |cut, end| (cut << 32) | u64::from(*end)));
        }
        let hash = hasher.finish();
        Self(Arc::new(Inner { hash, text, ends }))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.ends.len() / 2
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// Names and values, one after another.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Where in [`text`](Self::text) each name and each value ends.
    pub fn ends(&self) -> &[u32] {
        &self.0.ends
    }

    /// Bytes of all names and values.
    pub fn byte_len(&self) -> usize {
        self.0.text.len()
    }

    /// The value of a label, `None` where the set has no such label.
    pub fn value(&self, name: &str) -> Option<&str> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let (found, value) = self.at(middle)?;
            match found.cmp(name) {
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        (0..self.len()).map(|index| self.at(index).unwrap_or_default())
    }

    /// A builder that starts with these labels.
    pub fn to_builder(&self) -> LabelsBuilder<'_> {
        self.iter().collect()
    }

    fn at(&self, index: usize) -> Option<(&str, &str)> {
        let end = |place: usize| self.0.ends.get(place).copied();
        let start = match index {
            0 => 0,
            _ => end(2 * index - 1)?,
        };
        let (name_end, value_end) = (end(2 * index)?, end(2 * index + 1)?);
        let text = |from: u32, to: u32| self.0.text.get(from as usize..to as usize);
        Some((text(start, name_end)?, text(name_end, value_end)?))
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash && self.0.ends == other.0.ends && self.0.text == other.0.text)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

/// As the reference writes a series in its messages: `{a="1", b="2"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_and_found_by_name() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("__name__", "cpu")]).unwrap();
        assert_eq!(labels.to_string(), r#"{__name__="cpu", a="1", b="2"}"#);
        assert_eq!(labels.value("b"), Some("2"));
        assert_eq!(labels.value("c"), None);
        assert_eq!(Labels::empty().value(""), None);
    }

    #[test]
    fn equality_and_hash_see_where_a_label_is_cut() {
        let set = |name, value| Labels::from_pairs([(name, value)]).unwrap();
        assert_eq!(set("a", "bc"), set("a", "bc"));
        assert_ne!(set("a", "bc"), set("ab", "c"));
        assert_ne!(set("a", "bc").0.hash, set("ab", "c").0.hash);
    }

    #[test]
    fn packed_labels_are_those_that_were_packed() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "ä"), ("c", "")]).unwrap();
        let unpacked = Labels::from_packed(labels.text().to_owned(), labels.ends().to_vec()).unwrap();
        assert_eq!(unpacked.to_string(), r#"{a="ä", b="2"}"#);
        let unsorted = Labels::from_packed("b2aä".to_owned(), vec![1, 2, 3, 5]).unwrap();
        assert_eq!((unsorted.0.hash, &unsorted), (unpacked.0.hash, &unpacked));
        assert_eq!(Labels::from_packed(String::new(), Vec::new()).unwrap(), Labels::empty());
        let twice = Labels::from_packed("a1a2".to_owned(), vec![1, 2, 3, 4]);
        assert_eq!(twice.unwrap_err().to_string(), "duplicate label name: a");
        for ends in [&[1, 2, 3][..], &[1, 2], &[], &[1, 4, 3, 5], &[3, 1, 3, 5], &[1, 4, 4, 5], &[1, 9, 9, 5]] {
            let wrong = Labels::from_packed("b2aä".to_owned(), ends.to_vec()).unwrap_err();
            assert_eq!(wrong, LabelError::Cut { offsets: ends.len(), bytes: 5 }, "{ends:?}");
        }
    }

    #[test]
    fn bad_sets_say_what_is_wrong() {
        let twice = Labels::from_pairs([("a", "1"), ("b", "1"), ("a", "2")]);
        assert_eq!(twice.unwrap_err().to_string(), "duplicate label name: a");
        let bytes = Labels::from_pairs([(&b"bad"[..], &b"\xff"[..])]);
        assert_eq!(bytes.unwrap_err().to_string(), "invalid label value for bad: \u{fffd}");
        let name = Labels::from_pairs([(&b"\xfe"[..], &b""[..])]);
        assert_eq!(name.unwrap_err().to_string(), "invalid label name: \u{fffd}: not UTF-8");
        let large = Labels::from_pairs([("a", "x".repeat(MAX_BYTES))]);
        assert_eq!(large.unwrap_err(), LabelError::TooLarge(MAX_BYTES + 1));
    }
}
