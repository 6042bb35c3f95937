use alloy_syntax::format_source;

use super::{check, load, our_places, places, same, text};

#[test]
fn every_case() {
    let (cases, _) = load("syntax_file.json");
    check(&cases, |case| match format_source("", text(case, "input")) {
        Ok(formatted) if case["ok"] == true => same(formatted.as_str(), text(case, "formatted")),
        Ok(_) => Err(format!("accepted; want {:?}", places(&case["errors"]))),
        Err(errors) => same(our_places(&errors), places(&case["errors"])),
    });
}

/// What is formatted parses again, and formatting it again changes nothing.
#[test]
fn formatted_text_stays_as_it_is() {
    let (cases, _) = load("syntax_file.json");
    let formatted: Vec<_> = cases.into_iter().filter(|case| case["ok"] == true).collect();
    check(&formatted, |case| {
        let text = text(case, "formatted");
        same(format_source("", text).map_err(|errors| errors.to_string())?.as_str(), text)
    });
}
