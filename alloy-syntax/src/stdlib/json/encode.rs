//! Writes values as JSON, as Go's library does.

use crate::value::Value;

/// Compact, with sorted keys, and safe to stand in a web page.
pub(super) fn encode(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    push_value(&mut out, value)?;
    Ok(out)
}

fn push_value(out: &mut String, value: &Value) -> Result<(), String> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Uint(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&float(*number)?),
        Value::String(text) => push_string(out, text),
        Value::NonUtf8(bytes) => push_string(out, &String::from_utf8_lossy(bytes)),
        Value::Array(_) | Value::Bytes(_) => {
            out.push('[');
            for (index, element) in value.elements().unwrap_or_default().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_value(out, element)?;
            }
            out.push(']');
        }
        Value::Object(_) | Value::Capsule(_) => {
            let fields = value
                .fields()
                .ok_or_else(|| format!("cannot encode {value:?}: use convert.nonsensitive if its text may be shown"))?;
            out.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_string(out, name);
                out.push(':');
                push_value(out, field)?;
            }
            out.push('}');
        }
        Value::Function(function) => return Err(format!("cannot encode the function {}", function.name())),
    }
    Ok(())
}

/// With an exponent only where it is very small or very large.
fn float(number: f64) -> Result<String, String> {
    let magnitude = number.abs();
    if !number.is_finite() {
        Err(format!("json: unsupported value: {number}"))
    } else if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{number:e}");
        Ok(if magnitude < 1.0 { text } else { text.replace('e', "e+") })
    } else {
        Ok(number.to_string())
    }
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\0'..='\x1f' => push_escape(out, c),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => push_escape(out, c),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn push_escape(out: &mut String, c: char) {
    out.push_str(&format!("\\u{:04x}", u32::from(c)));
}
