//! Which series are looked at: `{service_name="shop", pod!="a"}`.

use std::fmt;
use std::str::FromStr;

use profiler_core::labels::Labels;

use crate::quoted::quoted;

/// Conditions in one selector.
const MOST_CONDITIONS: usize = 64;

/// Series by their labels: all of its conditions hold. Without any it selects every series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selector(Vec<Condition>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Condition {
    name: String,
    value: String,
    /// Whether the label is to have another value, or none.
    negated: bool,
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Something else stands where this should.
    #[error("{expected} expected at {rest:?}; a selector is written like {{service_name=\"shop\", pod!=\"a\"}}")]
    Expected {
        /// What.
        expected: &'static str,
        /// From there on.
        rest: String,
    },
    /// More than [`MOST_CONDITIONS`].
    #[error("more than {MOST_CONDITIONS} conditions")]
    TooMany,
}

impl Selector {
    /// The series with exactly this value.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|condition| condition.negated || condition.name != name);
        self.0.push(Condition { name: name.to_owned(), value: value.to_owned(), negated: false });
        self
    }

    /// The series with exactly these labels, and maybe others.
    #[must_use]
    pub fn of(labels: &Labels) -> Self {
        labels.iter().fold(Self::default(), |selector, (name, value)| selector.with(name, value))
    }

    /// The series that both select.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }

    /// The value that a label is to have.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let of_name = |condition: &&Condition| !condition.negated && condition.name == name;
        self.0.iter().find(of_name).map(|condition| condition.value.as_str())
    }

    /// Whether a series is selected. A label that a series does not have is empty.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let holds = |condition: &Condition| {
            (labels.value(&condition.name).unwrap_or_default() == condition.value) != condition.negated
        };
        self.0.iter().all(holds)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, Condition { name, value, negated }) in self.0.iter().enumerate() {
            let (separator, operator) = (if index == 0 { "" } else { ", " }, if *negated { "!=" } else { "=" });
            write!(f, "{separator}{name}{operator}\"")?;
            for letter in value.chars() {
                match letter {
                    '"' | '\\' => write!(f, "\\{letter}")?,
                    '\n' => f.write_str("\\n")?,
                    other => write!(f, "{other}")?,
                }
            }
            f.write_str("\"")?;
        }
        f.write_str("}")
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    /// With or without its braces.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut rest = text.trim();
        let braced = rest.strip_prefix('{');
        rest = braced.unwrap_or(rest).trim_start();
        let mut conditions = Vec::new();
        while !rest.is_empty() && !rest.starts_with('}') {
            if conditions.len() == MOST_CONDITIONS {
                return Err(SelectorError::TooMany);
            }
            let (condition, after) = condition(rest)?;
            conditions.push(condition);
            rest = after.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.is_empty() || rest.starts_with('}') => {}
                None => return Err(expected("a comma", rest)),
            }
        }
        if braced.is_some() {
            rest = rest.strip_prefix('}').ok_or_else(|| expected("a closing brace", rest))?.trim_start();
        }
        if rest.is_empty() { Ok(Self(conditions)) } else { Err(expected("the end", rest)) }
    }
}

fn condition(text: &str) -> Result<(Condition, &str), SelectorError> {
    let end = text.find(['=', '!']).filter(|end| *end > 0).ok_or_else(|| expected("a label's name", text))?;
    let (name, rest) = text.split_at(end);
    let (negated, rest) = match rest.strip_prefix("!=") {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix('=').ok_or_else(|| expected("= or !=", rest))?),
    };
    let rest = rest.trim_start();
    let (value, rest) = quoted(rest).ok_or_else(|| expected("a value in double quotes", rest))?;
    Ok((Condition { name: name.trim().to_owned(), value, negated }, rest))
}

fn expected(expected: &'static str, rest: &str) -> SelectorError {
    SelectorError::Expected { expected, rest: rest.chars().take(40).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_the_same() {
        for text in ["{}", r#"{a="b"}"#, r#"{a="b", c!="d\"\\\n,}"}"#, r#"{service.name="ä = {", x=""}"#] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
        assert_eq!(" a = \"b\" ,".parse::<Selector>().unwrap().to_string(), r#"{a="b"}"#);
        assert_eq!("".parse::<Selector>().unwrap(), Selector::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, says) in [
            ("{a}", "a label's name expected at \"a}\""),
            ("{=\"b\"}", "a label's name"),
            ("{a=b}", "a value in double quotes expected at \"b}\""),
            ("{a=\"b}", "a value in double quotes"),
            ("{a!\"b\"}", "= or !="),
            ("{a=\"b\"", "a closing brace"),
            ("{a=\"b\"} c", "the end expected at \"c\""),
            ("a=\"b\"c", "a comma"),
        ] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert_eq!("a=\"\",".repeat(65).parse::<Selector>(), Err(SelectorError::TooMany));
    }

    #[test]
    fn all_conditions_hold() {
        let labels = Labels::from_pairs([("a", "1"), ("b", "2")]).unwrap();
        for (text, selected) in [
            ("{}", true),
            (r#"{a="1", b="2"}"#, true),
            (r#"{a="2"}"#, false),
            (r#"{a!="1"}"#, false),
            (r#"{c!="1"}"#, true),
            (r#"{c=""}"#, true),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().matches(&labels), selected, "{text}");
        }
        assert!(Selector::of(&labels).matches(&labels));
        assert_eq!(Selector::of(&labels).with("a", "3").value("a"), Some("3"));
    }
}
