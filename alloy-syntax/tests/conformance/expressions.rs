use alloy_syntax::parse_expression;

use super::values::{same_value, scope};
use super::{check, load, our_places, places, same, text};

#[test]
fn every_case() {
    let (cases, file) = load("syntax_expr.json");
    let scope = scope(&file);
    check(&cases, |case| {
        let expression = match parse_expression("", text(case, "input")) {
            Ok(expression) if case["parse_error"].is_null() => expression,
            Ok(_) => return Err("parsed".to_owned()),
            Err(errors) => return same(our_places(&errors), places(&case["parse_error"])),
        };
        match expression.evaluate(&scope) {
            Ok(value) if case["eval_error"].is_null() => same_value(&value, &case["result"], case["unordered"] == true),
            Ok(value) => Err(format!("{value:?}, want {}", case["eval_error"])),
            Err(error) if case["result"].is_null() => {
                // The reference has a dash in the place of a place that it does not know.
                let wanted = text(case, "eval_error");
                same(error.to_string().as_str(), wanted.strip_prefix("-: ").unwrap_or(wanted))
            }
            Err(error) => Err(format!("{error}, want {}", case["result"])),
        }
    });
}
