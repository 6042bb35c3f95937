//! The Prometheus text format, as far as tests ask of it.

use std::collections::BTreeMap;

/// Why text is not in the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("/metrics, line {line}: {what}: {text}")]
pub struct MetricsError {
    line: usize,
    what: &'static str,
    text: String,
}

/// One line of the format.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the series, with suffixes such as `_total` or `_bucket`.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// A scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// In the order of the text.
    pub samples: Vec<Sample>,
}

impl Metrics {
    /// Reads the text format (also OpenMetrics').
    ///
    /// # Errors
    /// The first line that is in neither.
    pub fn parse(text: &str) -> Result<Self, MetricsError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let samples = lines.map(|(number, line)| {
            sample(line).map_err(|what| MetricsError { line: number + 1, what, text: line.to_owned() })
        });
        Ok(Self { samples: samples.collect::<Result<_, _>>()? })
    }

    /// The sum of all series of this name that have these labels; `None` if there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut matching = self.matching(name, labels).peekable();
        matching.peek()?;
        Some(matching.map(|sample| sample.value).sum())
    }

    /// The series of this name that have these labels, and maybe more.
    pub fn matching<'m>(&'m self, name: &'m str, labels: &'m [(&'m str, &'m str)]) -> impl Iterator<Item = &'m Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |&(name, value): &(&str, &str)| sample.labels.get(name).is_some_and(|given| given == value);
            sample.name == name && labels.iter().all(has)
        })
    }
}

fn sample(line: &str) -> Result<Sample, &'static str> {
    let name_end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(name_end);
    if name.is_empty() {
        return Err("no name");
    }
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (key, after) = rest.split_once("=\"").ok_or("a label without a quoted value")?;
            let (value, after) = quoted(after).ok_or("a label value without an end")?;
            labels.insert(key.to_owned(), value);
            rest = after;
        }
    }
    let value = rest.split_whitespace().next().ok_or("no value")?;
    let value = value.parse().map_err(|_| "the value is no number")?;
    Ok(Sample { name: name.to_owned(), labels, value })
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_format() {
        let text = r#"# HELP a_total Something.
# TYPE a_total counter
a_total{component_id="x",path="a\"b\\c\nd"} 3
a_total{component_id="y"} 4 1700000000000
plain 1e3
bucket{le="+Inf",} +Inf
# EOF
"#;
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.samples.len(), 4);
        assert_eq!(metrics.samples[0].labels["path"], "a\"b\\c\nd");
        assert_eq!(metrics.sum("a_total", &[]), Some(7.0));
        assert_eq!(metrics.sum("a_total", &[("component_id", "y")]), Some(4.0));
        assert_eq!(metrics.sum("a_total", &[("component_id", "z")]), None);
        assert_eq!(metrics.sum("plain", &[]), Some(1000.0));
        assert_eq!(metrics.sum("bucket", &[("le", "+Inf")]), Some(f64::INFINITY));
    }

    #[test]
    fn refusals_name_the_line() {
        let cases = [
            ("ok 1\nnovalue", "line 2: no value"),
            ("a{b=\"c} 1", "a label value without an end"),
            ("a{b} 1", "a label without a quoted value"),
            ("a one", "the value is no number"),
            ("{b=\"c\"} 1", "no name"),
        ];
        for (text, says) in cases {
            let error = Metrics::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
