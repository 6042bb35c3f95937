use alloy_syntax::{Scanner, TokenKind, is_valid_identifier, sanitize_identifier};
use serde_json::Value as Json;

use super::{check, load, places, same, text};

#[test]
fn every_case() {
    let (cases, _) = load("syntax_scan.json");
    check(&cases, |case| if case["identifier"].is_string() { identifier(case) } else { tokens(case) });
}

fn identifier(case: &Json) -> Result<(), String> {
    let name = text(case, "identifier");
    same(is_valid_identifier(name), case["valid"].as_bool().unwrap())?;
    same(sanitize_identifier(name).as_deref(), case["sanitized"].as_str())
}

fn tokens(case: &Json) -> Result<(), String> {
    let mut scanner = Scanner::new(text(case, "input").as_bytes());
    let mut got = Vec::new();
    loop {
        let token = scanner.next_token();
        let place = (token.start.line as u64, token.start.column as u64);
        got.push((place, token.kind.as_str().to_owned(), token.text));
        if token.kind == TokenKind::Eof {
            break;
        }
    }
    let wanted = case["tokens"].as_array().unwrap().iter().map(|token| {
        let place = (token["line"].as_u64().unwrap(), token["col"].as_u64().unwrap());
        (place, text(token, "tok").to_owned(), text(token, "lit").to_owned())
    });
    same(got, wanted.collect())?;
    let errors = scanner.take_errors().into_iter();
    let errors = errors.map(|error| (error.position.line as u64, error.position.column as u64, error.message));
    same(errors.collect(), places(&case["errors"]))
}
