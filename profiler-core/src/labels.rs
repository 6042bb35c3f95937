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
    /// For each label the offsets in `text` where its name and its value end.
    ends: Box<[(u32, u32)]>,
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
        let mut ends = Vec::with_capacity(count);
        for (name, value) in labels {
            text.push_str(name);
            let name_end = text.len() as u32;
            text.push_str(value);
            ends.push((name_end, text.len() as u32));
        }
        Ok(Self::new(text.into_boxed_str(), ends.into_boxed_slice()))
    }

    fn new(text: Box<str>, ends: Box<[(u32, u32)]>) -> Self {
        let mut hasher = rapidhash::fast::RapidHasher::default();
        hasher.write(text.as_bytes());
        for (name_end, value_end) in &ends {
            // The same text cut elsewhere is another set.
            hasher.write_u64((u64::from(*name_end) << 32) | u64::from(*value_end));
        }
        let hash = hasher.finish();
        Self(Arc::new(Inner { hash, text, ends }))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
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
        let start = match index {
            0 => 0,
            _ => self.0.ends.get(index - 1)?.1,
        };
        let (name_end, value_end) = *self.0.ends.get(index)?;
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
