//! Functions on strings.

use super::{Body, Named, check_length, decode_all, go_format, go_text};
use crate::decode::DecodeError;
use crate::value::{CallArguments, CallError, Value};

pub(super) const FUNCTIONS: &[Named] = &[
    ("format", Body::Plain(format)),
    ("join", Body::Plain(join)),
    ("replace", Body::Plain(replace)),
    ("split", Body::Plain(split)),
    ("to_lower", Body::Plain(|arguments| map(arguments, go_text::to_lower))),
    ("to_upper", Body::Plain(|arguments| map(arguments, go_text::to_upper))),
    ("trim", Body::Plain(|arguments| map2(arguments, |text, set| text.trim_matches(|c| set.contains(c)).to_owned()))),
    (
        "trim_prefix",
        Body::Plain(|arguments| map2(arguments, |text, prefix| text.strip_prefix(prefix).unwrap_or(text).to_owned())),
    ),
    (
        "trim_suffix",
        Body::Plain(|arguments| map2(arguments, |text, suffix| text.strip_suffix(suffix).unwrap_or(text).to_owned())),
    ),
    ("trim_space", Body::Plain(|arguments| map(arguments, |text| text.trim().to_owned()))),
];

fn format(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    if arguments.len() == 0 {
        return Err(CallError::Function("expected at least 1 args, got 0".to_owned()));
    }
    let format: String = arguments.decode(0)?;
    let values: Vec<&Value> = arguments.traced().skip(1).map(|argument| &argument.value).collect();
    go_format::format(&format, &values).map(Value::from)
}

fn join(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(2)?;
    let list = arguments.value(0);
    let elements = match list {
        Value::Null => Value::array([]).elements(),
        list => list.elements(),
    };
    let elements =
        elements.ok_or_else(|| CallError::Argument { index: 0, error: DecodeError::expected("array", list) })?;
    let parts: Vec<String> = decode_all(&elements, 0)?;
    let separator: String = arguments.decode(1)?;
    let separators = separator.len().saturating_mul(parts.len().saturating_sub(1));
    check_length(parts.iter().map(String::len).sum::<usize>().saturating_add(separators))?;
    Ok(Value::from(parts.join(&separator)))
}

fn replace(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(3)?;
    let (text, old, new): (String, String, String) = (arguments.decode(0)?, arguments.decode(1)?, arguments.decode(2)?);
    let replaced = text.matches(&old).count();
    let kept = text.len() - replaced * old.len();
    check_length(replaced.saturating_mul(new.len()).saturating_add(kept))?;
    Ok(Value::from(text.replace(&old, &new)))
}

/// By an empty separator into characters.
fn split(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(2)?;
    let (text, separator): (String, String) = (arguments.decode(0)?, arguments.decode(1)?);
    if separator.is_empty() {
        return Ok(Value::array(text.chars().map(|c| Value::from(String::from(c)))));
    }
    Ok(Value::array(text.split(&separator).map(Value::from)))
}

fn map(arguments: &CallArguments<'_, '_>, change: impl Fn(&str) -> String) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let text: String = arguments.decode(0)?;
    Ok(Value::from(change(&text)))
}

fn map2(arguments: &CallArguments<'_, '_>, change: impl Fn(&str, &str) -> String) -> Result<Value, CallError> {
    arguments.expect(2)?;
    let (text, other): (String, String) = (arguments.decode(0)?, arguments.decode(1)?);
    Ok(Value::from(change(&text, &other)))
}
