//! YAML, as the reference's library reads it.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{Body, Named};
use crate::quote::quote;
use crate::value::{CallArguments, CallError, Value};

mod scalar;
mod timestamp;

pub(super) const FUNCTIONS: &[Named] = &[("from_yaml", Body::Plain(from_yaml))];

/// How deep a document may go, its aliases followed: bounds every recursion over the value.
const MAX_DEPTH: usize = 200;

/// How many values a document may hold, its aliases followed: a few lines of aliases can stand for billions.
const MAX_VALUES: usize = 1_000_000;

/// The first document; `null` if there is none.
fn from_yaml(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let text: String = arguments.decode(0)?;
    decode(&text).map_err(|error| CallError::Function(format!("yaml: {error}")))
}

fn decode(text: &str) -> Result<Value, String> {
    let mut composer = Composer { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), depth: 0 };
    loop {
        match composer.next()? {
            (Event::StreamEnd, _) => return Ok(Value::Null),
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (event, span) => return composer.node(event, span).map(|node| node.value),
        }
    }
}

struct Composer<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// `None` while the node with the anchor is not complete.
    anchors: BTreeMap<usize, Option<Node>>,
    depth: usize,
}

#[derive(Clone)]
struct Node {
    value: Value,
    kind: NodeKind,
    /// Levels below and with this one.
    depth: usize,
    /// Values below and with this one.
    size: usize,
    line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NodeKind {
    Merge,
    Other,
}

impl<'t> Composer<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), String> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(describe(&error)),
            None => Ok((Event::StreamEnd, Span::empty(Marker::default()))),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, String> {
        let line = span.start.line();
        let anchor = match event {
            Event::Alias(anchor) => return self.alias(anchor, line),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => anchor,
            _ => return Err(format!("line {line}: did not find expected node content")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("line {line}: exceeded max depth of {MAX_DEPTH}"));
        }
        let mut node = match event {
            Event::Scalar(text, style, _, tag) => scalar_node(&text, style, tag.as_deref())?,
            Event::SequenceStart(..) => self.sequence()?,
            _ => self.mapping()?,
        };
        self.depth -= 1;
        node.line = line;
        if self.depth + node.depth > MAX_DEPTH || node.size > MAX_VALUES {
            return Err("document contains excessive aliasing".to_owned());
        }
        if anchor > 0 {
            self.anchors.insert(anchor, Some(node.clone()));
        }
        Ok(node)
    }

    fn alias(&self, anchor: usize, line: usize) -> Result<Node, String> {
        match self.anchors.get(&anchor) {
            Some(Some(node)) => Ok(Node { line, ..node.clone() }),
            Some(None) => Err(format!("line {line}: the value of an anchor contains itself")),
            None => Err(format!("line {line}: unknown anchor")),
        }
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut elements = Vec::new();
        let (mut depth, mut size) = (0, 1);
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node::new(Value::array(elements), depth + 1, size));
            }
            let element = self.node(event, span)?;
            depth = depth.max(element.depth);
            size += element.size;
            elements.push(element.value);
        }
    }

    fn mapping(&mut self) -> Result<Node, String> {
        let mut fields = Fields::default();
        let (mut depth, mut size) = (0, 1);
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Node::new(fields.into_value(), depth + 1, size));
            }
            let key = self.node(event, span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            depth = depth.max(value.depth);
            size += value.size;
            fields.add(&key, value)?;
        }
    }
}

impl Node {
    fn new(value: Value, depth: usize, size: usize) -> Self {
        Self { value, kind: NodeKind::Other, depth, size, line: 0 }
    }
}

/// The fields of a mapping as it is read.
#[derive(Default)]
struct Fields {
    own: BTreeMap<String, (Value, usize)>,
    merged: BTreeMap<String, Value>,
    other_key: bool,
}

/// What the reference makes of the keys of a mapping in which one is no string.
const KEY_OF_OTHER_TYPE: &str = "<interface {} Value>";

impl Fields {
    fn add(&mut self, key: &Node, value: Node) -> Result<(), String> {
        if key.kind == NodeKind::Merge {
            return self.merge(&value.value);
        }
        let name = match &key.value {
            Value::String(name) => name.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("line {}: invalid map key", key.line));
            }
            other => {
                self.other_key = true;
                format!("{other:?}")
            }
        };
        match self.own.insert(name.clone(), (value.value, key.line)) {
            None => Ok(()),
            Some((_, first)) => Err(format!(
                "unmarshal errors:\n  line {}: mapping key {} already defined at line {first}",
                key.line,
                quote(&name)
            )),
        }
    }

    /// The fields of a `<<` count where the mapping has none of its own; of several the first counts.
    fn merge(&mut self, value: &Value) -> Result<(), String> {
        let wrong = || "map merge requires map or sequence of maps as the value".to_owned();
        let sources = match value {
            Value::Object(_) => vec![value.clone()],
            Value::Array(elements) => elements.to_vec(),
            _ => return Err(wrong()),
        };
        for source in sources {
            let fields = source.fields().ok_or_else(wrong)?;
            for (name, field) in fields.iter() {
                self.merged.entry(name.clone()).or_insert_with(|| field.clone());
            }
        }
        Ok(())
    }

    fn into_value(self) -> Value {
        let mut fields = self.merged;
        fields.extend(self.own.into_iter().map(|(name, (value, _))| (name, value)));
        if self.other_key {
            return Value::object(fields.into_values().map(|value| (KEY_OF_OTHER_TYPE, value)));
        }
        Value::object(fields)
    }
}

fn scalar_node(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, String> {
    let core_type = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| !tag.handle.is_empty() || !tag.suffix.is_empty());
    if plain && core_type.is_none() && text == "<<" {
        return Ok(Node { kind: NodeKind::Merge, ..Node::new(Value::string(text), 1, 1) });
    }
    Ok(Node::new(scalar::value(text, plain, core_type)?, 1, 1))
}

/// The error in the words of the reference's library, as far as it has the same.
fn describe(error: &ScanError) -> String {
    let info = error.info();
    let problem = info.split_once(", ").map_or(info, |(_, problem)| problem);
    let (problem, in_scanner) = match problem {
        "simple key expected" | "simple key expect ':'" => ("could not find expected ':'", true),
        "misplaced bracket" => ("did not find expected node content", false),
        problem if problem.starts_with("unexpected character: ") => {
            ("found character that cannot start any token", true)
        }
        problem => (problem, info.starts_with("while scanning") || problem.contains("not allowed")),
    };
    // That library leaves out the first line, and its parser counts from 0 where its scanner counts from 1.
    match error.marker().line() {
        0 | 1 => problem.to_owned(),
        line if in_scanner => format!("line {line}: {problem}"),
        line => format!("line {}: {problem}", line - 1),
    }
}
