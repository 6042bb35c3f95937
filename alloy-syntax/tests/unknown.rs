//! What a check finds while some values are not known.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

use std::collections::BTreeMap;

use alloy_syntax::{
    Arguments, CapsuleValue, Checked, DecodeError, DecodeValue, Diagnostics, Invalid, Scope, StdlibOptions, Value,
    check_block, decode_block_with_warnings, decode_capsule, parse_expression, parse_file,
};

#[derive(Debug, Arguments)]
#[alloy(validate = Consumer::validate, ignored("legacy"))]
struct Consumer {
    #[alloy(attr)]
    forward_to: Vec<Receiver>,
    #[alloy(attr, optional)]
    targets: Vec<BTreeMap<String, String>>,
    #[alloy(attr, optional)]
    name: String,
    #[alloy(attr, optional)]
    anything: Value,
    #[alloy(block, optional)]
    one: One,
    #[alloy(block, optional)]
    many: Vec<One>,
    #[alloy(block, optional)]
    by_label: BTreeMap<String, One>,
}

#[derive(Debug, Arguments)]
struct One {
    #[alloy(attr, optional)]
    port: u16,
    #[alloy(attr, optional)]
    path: Option<String>,
}

#[derive(Debug, Clone)]
struct Receiver;

impl CapsuleValue for Receiver {
    fn type_name(&self) -> &str {
        "receiver"
    }
}

impl DecodeValue for Receiver {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        decode_capsule::<Self>(value, "receiver").map(|receiver| receiver.as_ref().clone())
    }

    fn encode_value(&self) -> Value {
        Value::capsule(self.clone())
    }

    fn type_name() -> String {
        "receiver".to_owned()
    }
}

impl Consumer {
    fn validate(&self) -> Result<(), Invalid> {
        if self.name == "bad" { Err(Invalid::attribute("name", "must not be bad")) } else { Ok(()) }
    }
}

/// A source whose targets are known to nobody, beside a receiver that is known, and one of which nothing is.
fn scope() -> Scope {
    let half = Value::object([("targets", Value::unknown()), ("receiver", Value::capsule(Receiver))]);
    Scope::stdlib(&StdlibOptions::default()).extend([("half", half), ("none", Value::unknown())])
}

/// `known` or `unknown` with the warnings, or the errors.
fn check(body: &str) -> String {
    let source = format!("consumer \"a\" {{\n{body}\n}}");
    let file = parse_file("", &source).unwrap();
    let block = file.body.blocks().next().unwrap();
    let (what, said): (&str, Diagnostics) = match check_block::<Consumer>(block, &scope()) {
        Ok(Checked::Known(decoded)) => ("known", decoded.warnings),
        Ok(Checked::Unknown { warnings }) => ("unknown", warnings),
        Err(errors) => return errors.to_string(),
    };
    assert!(!said.has_errors(), "{said}");
    format!("{what} {said}").trim_end().to_owned()
}

#[test]
fn values_of_expressions() {
    let cases = [
        ("none", "unknown"),
        ("none.a.b", "unknown"),
        ("none[0].a", "unknown"),
        ("none()", "unknown"),
        ("half.targets", "unknown"),
        ("half.targets[0][\"__address__\"]", "unknown"),
        ("[1, 2][none]", "unknown"),
        ("{a = 1}[none.b]", "unknown"),
        ("!none", "unknown"),
        ("-none.a", "unknown"),
        ("none + 1", "unknown"),
        ("1 == none", "unknown"),
        ("[none] == [1]", "unknown"),
        ("true && (none.x > 3)", "unknown"),
        ("array.concat([], half.targets)", "unknown"),
        ("string.join([\"a\", none.x], \",\")", "unknown"),
        ("encoding.to_json({a = [none]})", "unknown"),
        ("coalesce(none, 1)", "unknown"),
        // What is known stays so beside it.
        ("half.receiver", "known"),
        ("{a = none, b = 1}.b", "known"),
        ("[none, 1][1]", "known"),
        // What is wrong whatever the value may be.
        ("half.other", "1:6: field \"other\" does not exist"),
        ("none + nosuch", "1:8: identifier \"nosuch\" does not exist"),
        ("none(nosuch)", "1:6: identifier \"nosuch\" does not exist"),
        ("none[1 + true]", "1:10: true should be one of [number string capsule] for binop +, got bool"),
    ];
    for (source, wanted) in cases {
        let got = match parse_expression("", source).unwrap().evaluate(&scope()) {
            Ok(value) if value.is_unknown() => "unknown".to_owned(),
            Ok(value) => {
                assert!(!value.holds_unknown(), "{source}: {value:?}");
                "known".to_owned()
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(got, wanted, "{source}");
    }
}

#[test]
fn blocks() {
    let known = "forward_to = [half.receiver]";
    let cases = [
        (known.to_owned(), "known"),
        ("forward_to = [half.receiver, none.receiver]".to_owned(), "unknown"),
        ("forward_to = none.receivers".to_owned(), "unknown"),
        (format!("{known}\ntargets = half.targets"), "unknown"),
        (format!("{known}\ntargets = [{{a = half.targets[0].b}}]"), "unknown"),
        (format!("{known}\nanything = {{a = [none]}}"), "unknown"),
        (format!("{known}\none {{ port = none.port }}"), "unknown"),
        (format!("{known}\nmany {{ }}\nmany {{ path = none }}"), "unknown"),
        (format!("{known}\nby_label \"x\" {{ port = none }}"), "unknown"),
        (
            format!("{known}\ntargets = none\nlegacy = 1"),
            "unknown 4:1: attribute \"legacy\" has no effect and may be removed",
        ),
        // A `validate` function is not asked about half a struct, and is about a whole one.
        (format!("{known}\ntargets = none\nname = \"bad\""), "unknown"),
        (format!("{known}\nname = \"bad\""), "3:8: must not be bad"),
        // The errors beside.
        ("targets = none".to_owned(), "1:1: missing required attribute \"forward_to\""),
        ("forward_to = none\nname = [1]".to_owned(), "3:8: [1] should be string, got array"),
        ("forward_to = none\nlabel = 1".to_owned(), "3:1: unrecognized attribute name \"label\""),
        ("forward_to = none\none { port = true }".to_owned(), "3:14: true should be number, got bool"),
        (format!("{known}\nmany {{ port = none }}\nmany {{ port = true }}"), "4:15: true should be number, got bool"),
        (
            format!("{known}\nby_label \"x\" {{ port = none }}\nby_label {{ }}"),
            "4:1: block \"by_label\" requires non-empty label",
        ),
        (format!("{known}\none {{\nport = none\npath = {{}}\n}}"), "5:8: {} should be string, got object"),
        // Within one value: what is wrong before something unknown is met.
        ("forward_to = [5, none.receiver]".to_owned(), "2:15: 5 should be capsule, got number"),
        ("forward_to = [none.receiver, 5]".to_owned(), "unknown"),
    ];
    for (body, wanted) in cases {
        assert_eq!(check(&body), wanted, "{body}");
    }
}

#[test]
fn an_unknown_value_is_no_error_among_the_errors() {
    let file = parse_file("", "consumer {\nforward_to = none\n}").unwrap();
    let errors = decode_block_with_warnings::<Consumer>(file.body.blocks().next().unwrap(), &scope()).unwrap_err();
    assert!(errors.is_empty(), "{errors}");
}

#[test]
fn a_value_that_is_wanted_alone_says_that_it_is_not_known() {
    let error = parse_expression("", "half.targets").unwrap().decode::<String>(&scope()).unwrap_err();
    assert_eq!(error.to_string(), "1:1: half.targets is not known before the components run");
}
