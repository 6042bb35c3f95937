//! Groups in YAML. Any scalar is a text, as it is written: a label `1.10` keeps its zero.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::super::groups::Group;

/// Why a document holds no groups.
#[derive(Debug, thiserror::Error)]
pub(super) enum YamlError {
    #[error("line {}, column {}: {}", .0.marker().line(), .0.marker().col() + 1, .0.info())]
    Scan(#[from] ScanError),
    #[error("line {line}: {expected} was expected")]
    Unexpected { line: usize, expected: &'static str },
    #[error("line {line}: unknown field {name:?}: a group has `targets` and `labels`")]
    Field { line: usize, name: String },
    #[error("line {line}: {name:?} stands here twice")]
    Twice { line: usize, name: String },
    #[error("line {0}: an alias; write out what it stands for")]
    Alias(usize),
    #[error("line {0}: a second document; one is read")]
    Document(usize),
}

/// Reads the groups of the only document.
pub(super) fn groups(text: &str) -> Result<Vec<Group>, YamlError> {
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    let mut groups = Vec::new();
    let mut documents = 0;
    loop {
        let (event, line) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
            Event::DocumentStart(_) if documents > 0 => return Err(YamlError::Document(line)),
            Event::DocumentStart(_) => documents += 1,
            Event::StreamEnd => return Ok(groups),
            Event::SequenceStart(..) => groups = reader.list("a group", Reader::group)?,
            // An empty document.
            Event::Scalar(text, ..) if is_null(&text) => {}
            _ => return Err(YamlError::Unexpected { line, expected: "a list of groups" }),
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, usize), YamlError> {
        match self.parser.next_event().transpose()? {
            Some((Event::Alias(_), span)) => Err(YamlError::Alias(line(&span))),
            Some((event, span)) => Ok((event, line(&span))),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    /// The rest of a list.
    fn list<T>(
        &mut self,
        expected: &'static str,
        read: impl Fn(&mut Self, &Event<'t>) -> Result<Option<T>, YamlError>,
    ) -> Result<Vec<T>, YamlError> {
        let mut list = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(list);
            }
            list.push(read(self, &event)?.ok_or(YamlError::Unexpected { line, expected })?);
        }
    }

    fn group(&mut self, event: &Event<'t>) -> Result<Option<Group>, YamlError> {
        if !matches!(event, Event::MappingStart(..)) {
            return Ok(None);
        }
        let mut group = Group::default();
        while let Some((name, line)) = self.key()? {
            let (event, at) = self.next()?;
            let null = matches!(&event, Event::Scalar(text, ..) if is_null(text));
            let twice = match name.as_str() {
                "targets" => {
                    let list = match event {
                        _ if null => Vec::new(),
                        Event::SequenceStart(..) => self.list("a target's address", |_, event| Ok(scalar(event)))?,
                        _ => return Err(YamlError::Unexpected { line: at, expected: "a list of targets" }),
                    };
                    group.targets.replace(list).is_some()
                }
                "labels" => {
                    let labels = match event {
                        _ if null => BTreeMap::new(),
                        Event::MappingStart(..) => self.labels()?,
                        _ => return Err(YamlError::Unexpected { line: at, expected: "a map of labels" }),
                    };
                    group.labels.replace(labels).is_some()
                }
                _ => return Err(YamlError::Field { line, name }),
            };
            if twice {
                return Err(YamlError::Twice { line, name });
            }
        }
        Ok(Some(group))
    }

    fn labels(&mut self) -> Result<BTreeMap<String, String>, YamlError> {
        let mut labels = BTreeMap::new();
        while let Some((name, line)) = self.key()? {
            let (event, at) = self.next()?;
            let expected = "a label's value";
            let value = scalar(&event).ok_or(YamlError::Unexpected { line: at, expected })?;
            if labels.contains_key(&name) {
                return Err(YamlError::Twice { line, name });
            }
            labels.insert(name, value);
        }
        Ok(labels)
    }

    /// The next key of a map; `None` at its end.
    fn key(&mut self) -> Result<Option<(String, usize)>, YamlError> {
        let (event, line) = self.next()?;
        if matches!(event, Event::MappingEnd) {
            return Ok(None);
        }
        let name = scalar(&event).ok_or(YamlError::Unexpected { line, expected: "a name" })?;
        Ok(Some((name, line)))
    }
}

fn scalar(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Scalar(text, style, ..) if *style == ScalarStyle::Plain && is_null(text) => Some(String::new()),
        Event::Scalar(text, ..) => Some(text.to_string()),
        _ => None,
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn line(span: &Span) -> usize {
    span.start.line()
}
