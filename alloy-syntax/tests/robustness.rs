//! Hostile text: nothing panics, nothing exhausts the stack.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

use alloy_syntax::{Scope, StdlibOptions, Value, format_source, parse_expression, parse_file, parse_file_bytes};

/// What opens and what closes, repeated without a bound.
const NESTED: [(&str, &str); 9] = [
    ("(", ")"),
    ("[", "]"),
    ("{a = ", "}"),
    ("f(", ")"),
    ("-", ""),
    ("a[", "]"),
    ("1 + ", ""),
    ("1 ^ ", ""),
    ("1 == (", ")"),
];

#[test]
fn too_deep_an_expression_is_refused() {
    for (open, close) in NESTED {
        for depth in [1_000, 100_000] {
            let source = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let errors = parse_expression("", &source).unwrap_err();
            assert_eq!(errors.len(), 1, "{open}: {errors}");
            assert!(errors.0[0].message.starts_with("nested too deeply"), "{open}: {errors}");
        }
    }
    for chain in [".a", "[0]", "(1)"] {
        let errors = parse_expression("", &format!("a{}", chain.repeat(100_000))).unwrap_err();
        assert!(errors.0[0].message.starts_with("nested too deeply"), "{chain}: {errors}");
    }
}

#[test]
fn too_deep_a_block_is_refused() {
    let errors = parse_file("", &"a {\n".repeat(100_000)).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors.0[0].message.starts_with("nested too deeply"), "{errors}");
}

#[test]
fn the_deepest_that_is_accepted_can_be_used() {
    let scope = Scope::stdlib(&StdlibOptions::default());
    for (open, close) in [("(", ")"), ("[", "]"), ("{a = ", "}"), ("-", ""), ("coalesce(", ")"), ("1 + ", "")] {
        let source = format!("{}1{}", open.repeat(95), close.repeat(95));
        let expression = parse_expression("", &source).unwrap();
        let value = expression.evaluate(&scope).unwrap();
        assert_eq!(value, value.clone());
        assert!(!alloy_syntax::format_expression(&expression).is_empty());
        assert!(expression.references().len() <= 95);
    }
}

#[test]
fn bytes_that_are_no_text_are_reported() {
    let errors = parse_file_bytes("f", b"a = \"x\xff\"\nb = \xfe\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "f:1:7: illegal UTF-8 encoding\nf:2:5: illegal UTF-8 encoding\nf:2:5: illegal character U+FFFD '\u{fffd}'\n\
         f:2:5: expected expression, got ILLEGAL"
    );
}

/// Pieces of the language put together at random: whatever comes out is parsed, formatted and evaluated, or
/// refused, and what was formatted parses again.
#[test]
fn text_at_random_never_panics() {
    const PIECES: [&str; 46] = [
        "a",
        "b.c",
        "true",
        "null",
        "1",
        "08",
        "1.5",
        "1e",
        "\"s\"",
        "\"\\q\"",
        "`r\n`",
        "'q'",
        "\"",
        "`",
        "=",
        "==",
        "!",
        "-",
        "+",
        "^",
        "%",
        "&",
        "||",
        "<",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "\n",
        "\n\n",
        " ",
        "\t",
        "// c\n",
        "/* d */",
        "/* e",
        "\r",
        "é",
        "\0",
        "\u{feff}",
        "#",
        "string.format(",
        "\\",
    ];
    let scope = Scope::stdlib(&StdlibOptions::default());
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |bound: usize| {
        // xorshift64: any sequence does, as long as every run has the same.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    for _ in 0..20_000 {
        let text: String = (0..next(14)).map(|_| PIECES[next(PIECES.len())]).collect();
        if let Ok(formatted) = format_source("", &text) {
            assert!(format_source("", &formatted).is_ok(), "{text:?} became {formatted:?}");
        }
        if let Ok(expression) = parse_expression("", &text) {
            let _ = expression.evaluate(&scope);
        }
    }
}

/// The table of a distance between two names has as many cells as the product of their lengths.
#[test]
fn a_suggestion_is_not_sought_for_a_name_of_any_length() {
    let (meant, written) = (format!("a{}", "x".repeat(200_000)), format!("b{}", "x".repeat(200_000)));
    let scope = Scope::empty().with(meant, Value::Null);
    let error = parse_expression("", &written).unwrap().evaluate(&scope).unwrap_err();
    assert_eq!(error.help, None);
}

/// Each error of a file would otherwise be compared with each of its names.
#[test]
fn a_suggestion_is_not_sought_among_any_number_of_names() {
    let names = |count: usize| (0..count).map(|number| (format!("component_{number:05}"), Value::Null));
    let help = |scope: &Scope, name: &str| parse_expression("", name).unwrap().evaluate(scope).unwrap_err().help;
    let many = Scope::empty().extend(names(20_000));
    for _ in 0..20_000 {
        assert_eq!(help(&many, "komponent_00007"), None);
    }
    let few = Scope::empty().extend(names(100));
    assert_eq!(help(&few, "komponent_00007").as_deref(), Some("did you mean \"component_00007\"?"));
}
