//! Arguments, exports and debug information, written as in a configuration.

use alloy_syntax::{EncodedStatement, Value, json, quote};

use crate::web::ui::format::plain;

/// Bytes of one text: what is longer is cut, and the API tells it whole.
const MOST_BYTES: usize = 64 << 10;
/// Letters of one value.
const MOST_LETTERS: usize = 2000;

/// Statements, one a line.
pub(super) fn of(body: &[EncodedStatement]) -> String {
    let mut text = Text { written: String::new() };
    text.body(body, 0);
    let mut written = text.written;
    if written.len() > MOST_BYTES {
        let end = (0..=MOST_BYTES).rev().find(|end| written.is_char_boundary(*end)).unwrap_or_default();
        written.truncate(end);
        written.push_str("\n… and more: /api/v0/web/components tells all of it");
    }
    written.trim_end().to_owned()
}

struct Text {
    written: String,
}

impl Text {
    fn is_full(&self) -> bool {
        self.written.len() > MOST_BYTES
    }

    fn begin(&mut self, depth: usize) {
        self.written.push_str(&"  ".repeat(depth));
    }

    fn body(&mut self, body: &[EncodedStatement], depth: usize) {
        for statement in body {
            if self.is_full() {
                return;
            }
            self.begin(depth);
            match statement {
                EncodedStatement::Attribute { name, value } => {
                    self.written.push_str(&format!("{} = ", line(name)));
                    self.value(value, depth);
                    self.written.push('\n');
                }
                EncodedStatement::Block { name, label, body } => {
                    self.written.push_str(&line(name));
                    if let Some(label) = label.as_deref().filter(|label| !label.is_empty()) {
                        self.written.push_str(&format!(" {}", line(&quote(label))));
                    }
                    self.written.push_str(" {\n");
                    self.body(body, depth + 1);
                    self.begin(depth);
                    self.written.push_str("}\n");
                }
            }
        }
    }

    fn value(&mut self, value: &Value, depth: usize) {
        if self.is_full() {
            return;
        }
        if let Some(elements) = value.elements().filter(|elements| !elements.is_empty()) {
            self.written.push_str("[\n");
            for element in elements.iter() {
                self.begin(depth + 1);
                self.value(element, depth + 1);
                self.written.push_str(",\n");
            }
            self.begin(depth);
            self.written.push(']');
        } else if let Some(fields) = value.fields().filter(|fields| !fields.is_empty()) {
            self.written.push_str("{\n");
            for (name, field) in fields.iter() {
                self.begin(depth + 1);
                self.written.push_str(&format!("{} = ", line(name)));
                self.value(field, depth + 1);
                self.written.push_str(",\n");
            }
            self.begin(depth);
            self.written.push('}');
        } else {
            let empty = if value.elements().is_some() { Some("[]") } else { value.fields().map(|_| "{}") };
            let scalar = empty.map_or_else(|| scalar(value), str::to_owned);
            self.written.push_str(&line(&scalar));
        }
    }
}

fn scalar(value: &Value) -> String {
    let told = match value {
        Value::Null => return "null".to_owned(),
        Value::String(text) => return quote(text),
        other => json::value(other).get("value").cloned().unwrap_or_default(),
    };
    // What a capsule tells of itself is no text of a configuration.
    told.as_str().map_or_else(|| told.to_string(), str::to_owned)
}

fn line(text: &str) -> String {
    plain(text, MOST_LETTERS)
}

#[cfg(test)]
mod tests {
    use alloy_syntax::{CapsuleValue, Secret};

    use super::*;

    fn attribute(name: &str, value: Value) -> EncodedStatement {
        EncodedStatement::Attribute { name: name.to_owned(), value }
    }

    #[test]
    fn statements_are_written_as_in_a_configuration() {
        let inner = attribute("names", Value::array([Value::from(1_u64), Value::string("a\n\u{202e}")]));
        let block = EncodedStatement::Block { name: "rule".into(), label: Some("x".into()), body: vec![inner] };
        let object = Value::object([("key", Value::Bool(true))]);
        let empty = Value::object::<&str>([]);
        let body = [attribute("a", object), attribute("b", Value::Null), attribute("c", empty), block];
        let expected =
            "a = {\n  key = true,\n}\nb = null\nc = {}\nrule \"x\" {\n  names = [\n    1,\n    \"a\\n·\",\n  ]\n}";
        assert_eq!(of(&body), expected);
    }

    #[test]
    fn secrets_stay_secret_and_long_texts_are_cut() {
        let secret = Value::capsule(Secret::new("hunter2"));
        let _: &dyn CapsuleValue = &Secret::new("");
        assert_eq!(of(&[attribute("password", secret)]), "password = (secret)");
        let many: Vec<_> = (0..10_000_u64).map(|place| attribute("attribute", Value::from(place))).collect();
        let text = of(&many);
        assert!(text.len() < MOST_BYTES + 100 && text.ends_with("tells all of it"));
    }
}
