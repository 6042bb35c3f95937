use alloy_syntax::format_source;

use super::{check, load, same, text};

#[test]
fn every_case() {
    let (cases, _) = load("syntax_fmt.json");
    check(&cases, |case| {
        let formatted = format_source("", text(case, "input")).map_err(|errors| errors.to_string())?;
        same(formatted.as_str(), text(case, "output"))
    });
}
