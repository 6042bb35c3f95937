//! What a person may pass on: the configuration and the components without secrets.

use std::borrow::Cow;

use alloy_syntax::ast::{Body, Expr, ExprKind, Literal, Statement};
use alloy_syntax::{Schema, Scope, TokenKind, format_file, parse_file, quote};
use serde_json::Value as Json;

use crate::components::KINDS;
use crate::config::Source;

/// Stands in place of a secret, here as everywhere.
const HIDDEN: &str = "(secret)";
/// What sounds like a secret where no type says so.
const SECRET_WORDS: [&str; 8] =
    ["password", "passwd", "passphrase", "token", "secret", "key", "credential", "authorization"];
/// Functions that make values of a text: what is in it has no name here.
const DECODERS: [&str; 7] =
    ["from_json", "from_yaml", "from_base64", "from_URLbase64", "json_decode", "yaml_decode", "base64_decode"];

/// The text of a file without secrets and comments.
pub(super) fn source(source: &Source) -> String {
    match parse_file(&source.name, &source.text) {
        Ok(mut file) => {
            file.comments.clear();
            nodes(&mut file.body);
            format_file(&file)
        }
        Err(_) => "// left out: what cannot be parsed cannot be searched for secrets\n".to_owned(),
    }
}

/// A component of the API without secrets in the places where the API has them as they are.
pub(super) fn component(mut component: Json) -> Json {
    let custom = component.get("createdModuleIDs").is_some();
    for part in ["arguments", "exports", "debugInfo"] {
        if let Some(body) = component.get_mut(part) {
            if custom { hide_json(body) } else { soften_json(body) }
        }
    }
    component
}

/// A text with `(secret)` for what stands before the `@` of a URL.
pub(super) fn without_userinfo(text: &str) -> Cow<'_, str> {
    const SCHEME_END: &str = "://";
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(SCHEME_END) {
        let (before, after) = rest.split_at(at + SCHEME_END.len());
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'`<>\\".contains(c)).unwrap_or(after.len());
        let (authority, after) = after.split_at(end);
        clean.push_str(before);
        match authority.rsplit_once('@') {
            Some((_, host)) => clean.extend([HIDDEN, "@", host]),
            None => clean.push_str(authority),
        }
        rest = after;
    }
    if clean.is_empty() {
        return Cow::Borrowed(text);
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// The blocks of a graph: of the configuration, a module or a template.
fn nodes(body: &mut Body) {
    for statement in &mut body.statements {
        let Statement::Block(block) = statement else { continue };
        let name = block.full_name();
        match (name.as_str(), KINDS.iter().find(|kind| kind.name == name)) {
            (_, Some(kind)) => known(&mut block.body, &(kind.schema)()),
            ("declare" | "template", None) => nodes(&mut block.body),
            ("foreach", None) => {
                attributes(&mut block.body, |name| name == "collection");
                nodes(&mut block.body);
            }
            ("argument", None) => attributes(&mut block.body, |name| name == "default"),
            // Of custom components, and what they give: any of it may be, or become, a secret inside.
            (_, None) => unknown(&mut block.body),
        }
    }
}

/// A body whose attributes have types.
fn known(body: &mut Body, schema: &Schema) {
    attributes(body, |name| {
        let declared = schema.attributes.iter().find(|attribute| attribute.name == name);
        declared.map_or_else(|| sounds_secret(name), |attribute| attribute.type_name.contains("secret"))
    });
    for statement in &mut body.statements {
        let Statement::Block(block) = statement else { continue };
        let name = block.full_name();
        match schema.blocks.iter().find(|block| block.name == name) {
            Some(inner) => known(&mut block.body, &(inner.schema)()),
            None => unknown(&mut block.body),
        }
    }
}

fn unknown(body: &mut Body) {
    attributes(body, |_| true);
    for statement in &mut body.statements {
        if let Statement::Block(block) = statement {
            unknown(&mut block.body);
        }
    }
}

fn attributes(body: &mut Body, is_secret: impl Fn(&str) -> bool) {
    for statement in &mut body.statements {
        let Statement::Attribute(attribute) = statement else { continue };
        clean(&mut attribute.value, is_secret(&attribute.name.name));
    }
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Takes the secrets out of an expression: all its texts and numbers where it is `secret` as a whole.
fn clean(expression: &mut Expr, secret: bool) {
    let plain = if secret { None } else { text_of(expression) };
    match &mut expression.kind {
        ExprKind::Literal(literal) if secret => {
            if !matches!(literal.kind, TokenKind::Null | TokenKind::Bool) {
                *literal = text_literal(HIDDEN);
            }
        }
        ExprKind::Literal(literal) => {
            if let Some(Cow::Owned(shown)) = plain.as_deref().map(without_userinfo) {
                *literal = text_literal(&shown);
            }
        }
        ExprKind::Identifier(_) => {}
        ExprKind::Array(elements) => elements.iter_mut().for_each(|element| clean(element, secret)),
        ExprKind::Object(fields) => {
            for field in fields {
                clean(&mut field.value, secret || sounds_secret(&field.name.name));
            }
        }
        ExprKind::Access { value, .. } | ExprKind::Unary { value, .. } | ExprKind::Paren(value) => clean(value, secret),
        ExprKind::Index { value, index, .. } => {
            clean(value, secret);
            clean(index, false);
        }
        ExprKind::Call { function, arguments, .. } => {
            // The name of a variable is none, and tells where the secret comes from.
            let secret = match called(function).as_deref() {
                Some("env") => false,
                Some(name) => secret || DECODERS.contains(&name),
                None => secret,
            };
            arguments.iter_mut().for_each(|argument| clean(argument, secret));
        }
        ExprKind::Binary { left, right, .. } => {
            clean(left, secret);
            clean(right, secret);
        }
    }
}

/// The last name of a function: that of `sys.env` is `env`.
fn called(function: &Expr) -> Option<String> {
    function.as_traversal()?.parts.pop().map(|part| part.name)
}

/// What a literal of a text stands for.
fn text_of(expression: &Expr) -> Option<String> {
    let ExprKind::Literal(Literal { kind: TokenKind::String, .. }) = expression.kind else { return None };
    expression.evaluate(&Scope::default()).ok()?.as_str().map(str::to_owned)
}

fn text_literal(text: &str) -> Literal {
    Literal { kind: TokenKind::String, text: quote(text) }
}

/// Hides what stands under a name that sounds like a secret.
fn soften_json(value: &mut Json) {
    match value {
        Json::Array(elements) => elements.iter_mut().for_each(soften_json),
        Json::Object(fields) => {
            let secret = fields.get("key").and_then(Json::as_str).is_some_and(sounds_secret);
            match fields.get_mut("value") {
                Some(value) if secret => hide_json(value),
                _ => fields.values_mut().for_each(soften_json),
            }
        }
        _ => {}
    }
}

/// Hides every text and number.
fn hide_json(value: &mut Json) {
    match value {
        Json::Array(elements) => elements.iter_mut().for_each(hide_json),
        Json::Object(fields) => match fields.get("type").and_then(Json::as_str) {
            Some("string" | "number") => {
                fields.insert("value".to_owned(), Json::from(HIDDEN));
            }
            _ => fields.values_mut().for_each(hide_json),
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Everything that is to be hidden says `hunter`; everything that is to stay does not.
    #[test]
    fn a_configuration_without_its_secrets() {
        let shown = |name: &str, text: &str| source(&Source { name: name.to_owned(), text: text.to_owned() });
        let text = include_str!("redact/secrets.alloy");
        let expected = include_str!("redact/secrets.redacted.alloy");
        let redacted = shown("secrets.alloy", text);
        assert_eq!(redacted, expected);
        assert!(!redacted.contains("hunter"), "{redacted}");
        assert!(!shown("broken.alloy", "a = \"hunter").contains("hunter"));
    }

    #[test]
    fn urls() {
        for (text, shown) in [
            ("http://user:hunter@host:1/a@b", "http://(secret)@host:1/a@b"),
            (
                "a http://hunter@host b https://u:p@ss@host?x=y@z",
                "a http://(secret)@host b https://(secret)@host?x=y@z",
            ),
            (
                "{\"url\":\"http://u:hunter@host\",\"mail\":\"a@b\"}",
                "{\"url\":\"http://(secret)@host\",\"mail\":\"a@b\"}",
            ),
            ("http://host/a", "http://host/a"),
            ("a@b", "a@b"),
            ("://", "://"),
            ("é://ü@é", "é://(secret)@é"),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
    }

    #[test]
    fn what_is_given_to_a_custom_component() {
        let value = |text: &str| json!({"type": "string", "value": text});
        let headers = json!({"type": "object", "value": [
            {"key": "Authorization", "value": value("hunter")}, {"key": "X-Scope-OrgID", "value": value("a")},
        ]});
        let attribute = |name: &str, value: Json| json!({"name": name, "type": "attr", "value": value});
        let plain = component(json!({"arguments": [attribute("headers", headers), attribute("name", value("b"))]}));
        let text = plain.to_string();
        assert!(!text.contains("hunter") && text.contains("\"a\"") && text.contains("\"b\""), "{text}");
        let custom = json!({
            "localID": "shop.a", "createdModuleIDs": ["shop.a"], "health": {"message": "well"},
            "arguments": [attribute("word", value("hunter")), attribute("on", json!({"type": "bool", "value": true}))],
            "exports": [attribute("words", json!({"type": "array", "value": [value("hunter")]}))],
        });
        let text = component(custom).to_string();
        assert!(!text.contains("hunter") && text.contains("well") && text.contains("true"), "{text}");
    }
}
