//! Picks values out of JSON.

use std::borrow::Cow;

use serde_json_path::JsonPath;

use super::json;
use crate::decode::DecodeError;
use crate::value::{CallArguments, CallError, Value};

/// Everything that a path finds, as an array.
pub(super) fn json_path(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(2)?;
    let (text, path): (String, String) = (arguments.decode(0)?, arguments.decode(1)?);
    let wrong = |message| CallError::Argument { index: 1, error: DecodeError::new(message) };
    Shape::of(&path).check().map_err(wrong)?;
    let path = JsonPath::parse(&rooted(&path)).map_err(|error| wrong(format!("is not a JSONPath: {error}")))?;
    let parsed = json::parse(&text).map_err(CallError::Function)?;
    let found = path.query(&parsed).all();
    Ok(Value::array(found.into_iter().map(|json| json::value_of(json.clone(), &number))))
}

/// How deep `[` may lie inside each other in a path. The parser tries each filter inside a filter several times: at this
/// depth some milliseconds, at twice this depth seconds.
const MAX_BRACKET_DEPTH: usize = 6;
/// How often a path may say `..`: each finds everything below everything that the one before has found.
const MAX_DESCENTS: usize = 3;
/// How many ways lists like `[0, 1]` may make of one: behind each other they multiply, whatever they find.
const MAX_WAYS: usize = 4096;

/// What of a path's text decides how much work it is.
#[derive(Debug, PartialEq)]
struct Shape {
    bracket_depth: usize,
    descents: usize,
    ways: usize,
}

impl Shape {
    /// What stands within quotes is a name.
    fn of(path: &str) -> Self {
        let mut shape = Self { bracket_depth: 0, descents: 0, ways: 1 };
        let (mut depth, mut selectors) = (0_usize, 1_usize);
        let (mut quote, mut before) = (None, ' ');
        let mut characters = path.chars();
        while let Some(character) = characters.next() {
            match (quote, character) {
                (Some(_), '\\') => drop(characters.next()),
                (Some(open), _) if open == character => quote = None,
                (None, '"' | '\'') => quote = Some(character),
                (None, '[') => depth += 1,
                (None, ',') if depth == 1 => selectors += 1,
                (None, ']') => {
                    if depth == 1 {
                        shape.ways = shape.ways.saturating_mul(std::mem::replace(&mut selectors, 1));
                    }
                    depth = depth.saturating_sub(1);
                }
                (None, '.') if before == '.' => shape.descents += 1,
                _ => {}
            }
            before = character;
            shape.bracket_depth = shape.bracket_depth.max(depth);
        }
        shape
    }

    fn check(&self) -> Result<(), String> {
        if self.bracket_depth > MAX_BRACKET_DEPTH {
            return Err(format!("is nested too deeply: more than {MAX_BRACKET_DEPTH} brackets"));
        }
        if self.descents > MAX_DESCENTS {
            return Err(format!("goes down too often: more than {MAX_DESCENTS} times \"..\""));
        }
        if self.ways > MAX_WAYS {
            return Err(format!("goes too many ways: its lists in brackets make more than {MAX_WAYS}"));
        }
        Ok(())
    }
}

/// The reference lets a path begin without `$`.
fn rooted(path: &str) -> Cow<'_, str> {
    match path.chars().next() {
        Some('$') => Cow::Borrowed(path),
        Some('@') => Cow::Owned(path.replacen('@', "$", 1)),
        Some('.' | '[') | None => Cow::Owned(format!("${path}")),
        Some(_) => Cow::Owned(format!("$.{path}")),
    }
}

/// Unlike `from_json`, this keeps whole numbers whole.
#[allow(clippy::needless_pass_by_value, reason = "the signature that the conversion asks for")]
fn number(number: serde_json::Number) -> Value {
    let whole = number.as_i64().map(Value::Int).or_else(|| number.as_u64().map(Value::Uint));
    whole.unwrap_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)))
}
