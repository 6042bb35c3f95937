//! `fmt.Sprintf` of Go, as far as the language's values go.

use super::check_length;
use crate::value::{CallError, OptionalSecret, Secret, Value};

mod float;
mod integer;
mod verb;

use verb::{Spec, parse_spec};

/// Formats `values` by `format`. What does not fit is said in the text, as Go does: `%!d(string=x)`.
///
/// # Errors
/// A text that grows too long.
pub(super) fn format(format: &str, values: &[&Value]) -> Result<String, CallError> {
    let mut out = String::new();
    let mut rest = format;
    let mut next = 0;
    let mut reordered = false;
    while let Some(at) = rest.find('%') {
        let (text, behind) = rest.split_at(at);
        out.push_str(text);
        let parsed = parse_spec(behind.get(1..).unwrap_or_default(), values, &mut next);
        rest = parsed.rest;
        reordered |= parsed.reordered;
        out.push_str(parsed.problem);
        let Some(verb) = parsed.verb else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        if parsed.bad_index {
            out.push_str(&format!("%!{verb}(BADINDEX)"));
            continue;
        }
        match values.get(next) {
            Some(value) => {
                next += 1;
                out.push_str(&print(value, verb, &parsed.spec));
                check_length(out.len())?;
            }
            None => out.push_str(&format!("%!{verb}(MISSING)")),
        }
    }
    out.push_str(rest);
    if !reordered && let Some(extra) = values.get(next..).filter(|extra| !extra.is_empty()) {
        let extra: Vec<String> = extra
            .iter()
            .map(|value| match value {
                Value::Null => "<nil>".to_owned(),
                value => format!("{}={}", type_name(value), print(value, 'v', &Spec::default())),
            })
            .collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

fn print(value: &Value, verb: char, spec: &Spec) -> String {
    if verb == 'T' {
        let name = if value.is_null() { "<nil>" } else { type_name(value) };
        return text(name, 's', spec).unwrap_or_default();
    }
    let printed = match value {
        Value::Null if verb == 'v' => Some(spec.pad("<nil>")),
        Value::Null => return format!("%!{verb}(<nil>)"),
        Value::Bool(value) => matches!(verb, 't' | 'v').then(|| spec.pad(if *value { "true" } else { "false" })),
        Value::Int(number) => integer::print(*number < 0, number.unsigned_abs(), verb, spec),
        Value::Uint(number) if verb == 'v' && spec.sharp_v => {
            integer::print(false, *number, 'x', &Spec { sharp: true, ..spec.clone() })
        }
        Value::Uint(number) => integer::print(false, *number, verb, spec),
        Value::Float(number) => float::print(*number, verb, spec),
        Value::String(string) => text(string, verb, spec),
        Value::NonUtf8(bytes) => text(&String::from_utf8_lossy(bytes), verb, spec),
        Value::Array(_) | Value::Bytes(_) => return print_array(value, verb, spec),
        Value::Object(_) => return print_object(value, verb, spec),
        Value::Function(function) => Some(spec.pad(&format!("{function:?}"))),
        Value::Capsule(capsule) => match (capsule.downcast_ref::<Secret>(), capsule.downcast_ref()) {
            (Some(secret), _) => text(secret.expose(), verb, spec),
            (None, Some(optional)) => return print_optional_secret(optional, verb, spec),
            (None, None) => Some(spec.pad(&format!("{capsule:?}"))),
        },
    };
    printed.unwrap_or_else(|| format!("%!{verb}({}={})", type_name(value), print(value, 'v', spec)))
}

/// Go's names of the types.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Uint(_) => "uint64",
        Value::Float(_) => "float64",
        Value::String(_) | Value::NonUtf8(_) => "string",
        Value::Array(_) | Value::Bytes(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Function(_) => "func",
        Value::Capsule(capsule) if capsule.downcast_ref::<Secret>().is_some() => "alloytypes.Secret",
        Value::Capsule(capsule) if capsule.downcast_ref::<OptionalSecret>().is_some() => "alloytypes.OptionalSecret",
        Value::Capsule(_) => "capsule",
    }
}

fn text(text: &str, verb: char, spec: &Spec) -> Option<String> {
    let cut: String = text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
    match verb {
        'v' if spec.sharp_v => Some(spec.pad(&crate::quote::quote(text))),
        'v' | 's' => Some(spec.pad(&cut)),
        'q' if spec.sharp && !cut.contains('`') && !cut.chars().any(|c| c.is_control() && c != '\t') => {
            Some(spec.pad(&format!("`{cut}`")))
        }
        'q' => Some(spec.pad(&crate::quote::quote(&cut))),
        'x' | 'X' => {
            let bytes = text.as_bytes();
            let bytes = bytes.get(..spec.precision.unwrap_or(bytes.len())).unwrap_or(bytes);
            let mut hex = String::new();
            for (index, byte) in bytes.iter().enumerate() {
                if spec.space && index > 0 {
                    hex.push(' ');
                }
                if spec.sharp && (index == 0 || spec.space) {
                    hex.push_str("0x");
                }
                hex.push_str(&format!("{byte:02x}"));
            }
            Some(spec.pad(&if verb == 'X' { hex.to_uppercase() } else { hex }))
        }
        _ => None,
    }
}

fn print_array(value: &Value, verb: char, spec: &Spec) -> String {
    let elements = value.elements().unwrap_or_default();
    let elements: Vec<String> = elements.iter().map(|element| print_inner(element, verb, spec)).collect();
    if verb == 'v' && spec.sharp_v {
        return format!("[]interface {{}}{{{}}}", elements.join(", "));
    }
    format!("[{}]", elements.join(" "))
}

fn print_object(value: &Value, verb: char, spec: &Spec) -> String {
    let fields = value.fields().unwrap_or_default();
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, field)| {
            let name = print_inner(&Value::string(name), verb, spec);
            format!("{name}:{}", print_inner(field, verb, spec))
        })
        .collect();
    if verb == 'v' && spec.sharp_v {
        return format!("map[string]interface {{}}{{{}}}", fields.join(", "));
    }
    format!("map[{}]", fields.join(" "))
}

fn print_inner(value: &Value, verb: char, spec: &Spec) -> String {
    match value {
        Value::Null if verb == 'v' && spec.sharp_v => "interface {}(nil)".to_owned(),
        Value::Null => "<nil>".to_owned(),
        value => print(value, verb, spec),
    }
}

fn print_optional_secret(secret: &OptionalSecret, verb: char, spec: &Spec) -> String {
    let is_secret = print(&Value::Bool(secret.is_secret()), verb, spec);
    let value = print(&Value::string(secret.expose()), verb, spec);
    match (verb, spec.sharp_v, spec.plus_v) {
        ('v', true, _) => format!("alloytypes.OptionalSecret{{IsSecret:{is_secret}, Value:{value}}}"),
        ('v', false, true) => format!("{{IsSecret:{is_secret} Value:{value}}}"),
        _ => format!("{{{is_secret} {value}}}"),
    }
}
