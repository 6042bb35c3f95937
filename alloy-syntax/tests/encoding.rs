//! Values and decoded structs as JSON, and structs back to the text that makes them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::{
    Arguments, CapsuleValue, DecodeValue, EncodedStatement, GoDuration, OptionalSecret, Scope, Secret, StdlibOptions,
    TextValue, Value, decode_block, json, parse_expression, parse_file,
};
use serde_json::{Value as Json, json};

/// A block with each kind of field.
#[derive(Debug, Arguments)]
struct Everything {
    #[alloy(attr)]
    number: i64,
    #[alloy(attr, optional)]
    text: String,
    #[alloy(attr, optional)]
    flag: bool,
    #[alloy(attr, optional)]
    maybe: Option<u32>,
    #[alloy(attr, optional)]
    list: Vec<String>,
    #[alloy(attr, optional)]
    map: BTreeMap<String, f64>,
    #[alloy(attr, default = vec!["a".to_owned()])]
    default_list: Vec<String>,
    #[alloy(attr, default = Duration::from_secs(90))]
    wait: Duration,
    #[alloy(attr, default = Level(3))]
    level: Level,
    #[alloy(attr, optional)]
    password: Option<Secret>,
    #[alloy(attr, optional)]
    target: Target,
    #[alloy(block, optional, name = "with.defaults")]
    defaults: Defaults,
    #[alloy(block, optional)]
    maybe_block: Option<Defaults>,
    #[alloy(block, default = Defaults { name: "Ann".to_owned(), age: 1 })]
    own_default: Defaults,
    #[alloy(block, optional)]
    labelled: Vec<Labelled>,
    #[alloy(block, optional)]
    by_label: BTreeMap<String, Defaults>,
    #[alloy(block, optional)]
    boxed: Option<Box<Labelled>>,
}

#[derive(Debug, Arguments)]
struct Defaults {
    #[alloy(attr, default = "Joe".to_owned())]
    name: String,
    #[alloy(attr, default = 35)]
    age: u8,
}

#[derive(Debug, Arguments)]
struct Labelled {
    #[alloy(label)]
    id: String,
    #[alloy(attr, optional)]
    text: String,
}

#[derive(Debug, Arguments)]
struct Required {
    #[alloy(block)]
    one: Defaults,
    #[alloy(block)]
    many: Vec<Defaults>,
}

#[derive(Debug, Default, DecodeValue)]
struct Target {
    #[alloy(attr, optional)]
    port: u16,
    #[alloy(attr, name = "__address__", optional)]
    address: String,
}

#[derive(Debug, PartialEq)]
struct Level(u8);

impl TextValue for Level {
    fn parse_text(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('L').ok_or("must start with \"L\"")?;
        digits.parse().map(Self).map_err(|_| "must end with a number".to_owned())
    }

    fn to_text(&self) -> String {
        format!("L{}", self.0)
    }
}

struct Person {
    name: &'static str,
    as_object: bool,
}

impl CapsuleValue for Person {
    fn type_name(&self) -> &str {
        "people.Person"
    }

    fn to_object(&self) -> Option<Value> {
        self.as_object.then(|| Value::object([("name", Value::from(self.name)), ("address", Value::from("Duckburg"))]))
    }

    fn display(&self) -> Option<String> {
        Some(self.name.to_owned())
    }
}

fn decode<T: Arguments>(body: &str) -> T {
    let file = parse_file("test", &format!("block {{\n{body}\n}}")).unwrap();
    decode_block(file.body.blocks().next().unwrap(), &Scope::stdlib(&StdlibOptions::default()))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

/// A body's JSON in short: attributes as `[name, value]`, blocks as `[name, label, body]`. Fails on any other form.
fn short(body: &Json) -> Json {
    let statements = body.as_array().unwrap().iter().map(|statement| {
        let fields = statement.as_object().unwrap();
        match statement["type"].as_str().unwrap() {
            "attr" => {
                assert_eq!(fields.len(), 3, "{statement}");
                json!([statement["name"], statement["value"]["value"]])
            }
            "block" => {
                let label = fields.get("label").cloned().unwrap_or_default();
                assert_eq!(fields.len(), if label.is_null() { 3 } else { 4 }, "{statement}");
                json!([statement["name"], label, short(&statement["body"])])
            }
            other => panic!("{other}"),
        }
    });
    statements.collect()
}

#[test]
fn values_as_json() {
    let cases = [
        ("null", json!({"type": "null", "value": null})),
        ("54", json!({"type": "number", "value": 54})),
        ("-1.5", json!({"type": "number", "value": -1.5})),
        // Whole floats have no point, and what a double cannot hold is rounded.
        ("2.0", json!({"type": "number", "value": 2})),
        ("9007199254740993", json!({"type": "number", "value": 9_007_199_254_740_992_u64})),
        ("18446744073709551615", json!({"type": "number", "value": 18_446_744_073_709_551_616.0})),
        ("\"Hello\"", json!({"type": "string", "value": "Hello"})),
        (r#""a\xff""#, json!({"type": "string", "value": "a\u{fffd}"})),
        ("true", json!({"type": "bool", "value": true})),
        ("[]", json!({"type": "array", "value": []})),
        (
            "[0, [\"a\"]]",
            json!({"type": "array", "value": [
                {"type": "number", "value": 0},
                {"type": "array", "value": [{"type": "string", "value": "a"}]},
            ]}),
        ),
        ("{}", json!({"type": "object", "value": []})),
        (
            "{foo = \"bar\", fizz = 2023}",
            json!({"type": "object", "value": [
                {"key": "fizz", "value": {"type": "number", "value": 2023}},
                {"key": "foo", "value": {"type": "string", "value": "bar"}},
            ]}),
        ),
        ("encoding.to_json", json!({"type": "function", "value": "function"})),
        ("secret", json!({"type": "capsule", "value": "(secret)"})),
        ("hidden", json!({"type": "capsule", "value": "(secret)"})),
        ("plain", json!({"type": "capsule", "value": "\"text \\\"x\\\"\""})),
        ("person", json!({"type": "capsule", "value": "Donald"})),
        ("nameless", json!({"type": "capsule", "value": "capsule(\"people.Person\")"})),
        (
            "mappable",
            json!({"type": "object", "value": [
                {"key": "address", "value": {"type": "string", "value": "Duckburg"}},
                {"key": "name", "value": {"type": "string", "value": "Scrooge"}},
            ]}),
        ),
    ];
    let scope = Scope::stdlib(&StdlibOptions::default()).extend([
        ("secret", Secret::new("s3cr3t").into()),
        ("hidden", OptionalSecret::secret("s3cr3t").into()),
        ("plain", OptionalSecret::plain("text \"x\"").into()),
        ("person", Value::capsule(Person { name: "Donald", as_object: false })),
        ("nameless", Value::capsule(Person { name: "", as_object: false })),
        ("mappable", Value::capsule(Person { name: "Scrooge", as_object: true })),
    ]);
    for (source, wanted) in cases {
        let value = parse_expression("", source).unwrap().evaluate(&scope).unwrap();
        let got = json::value(&value);
        assert_eq!(got, wanted, "{source}");
        assert_eq!(got.to_string(), wanted.to_string(), "{source}");
    }
}

#[test]
fn rust_values_as_values() {
    let cases = [
        (true.encode_value(), "true"),
        ((-5_i8).encode_value(), "-5"),
        (u64::MAX.encode_value(), "18446744073709551615"),
        (7_usize.encode_value(), "7"),
        (0.5_f32.encode_value(), "0.5"),
        ("a\"b".to_owned().encode_value(), r#""a\"b""#),
        (<Arc<str>>::from("c").encode_value(), r#""c""#),
        (Level(4).encode_value(), r#""L4""#),
        (Duration::from_secs(90).encode_value(), r#""1m30s""#),
        (Duration::MAX.encode_value(), r#""2562047h47m16.854775807s""#),
        (GoDuration { nanoseconds: -1_500_000 }.encode_value(), r#""-1.5ms""#),
        (None::<String>.encode_value(), "null"),
        (Some(1_u8).encode_value(), "1"),
        (vec![Some(1_u8), None].encode_value(), "[1, null]"),
        (Target { port: 1, address: "h".to_owned() }.encode_value(), r#"{__address__ = "h", port = 1}"#),
        (BTreeMap::from([("a b".to_owned(), 1_i64)]).encode_value(), r#"{"a b" = 1}"#),
        (Secret::new("x").encode_value(), "capsule(secret)"),
        (OptionalSecret::plain("x").encode_value(), "capsule(optional_secret)"),
    ];
    for (value, wanted) in cases {
        assert_eq!(format!("{value:?}"), wanted);
    }
}

#[test]
fn what_is_as_if_not_given_is_left_out() {
    let cases = [
        ("", json!([])),
        ("text = \"\"\nflag = false\nmaybe = null", json!([])),
        ("maybe = 0", json!([["maybe", 0]])),
        ("text = \"a\"\nflag = true", json!([["text", "a"], ["flag", true]])),
        ("wait = \"1m30s\"\nlevel = \"L3\"", json!([])),
        ("wait = \"90m\"\nlevel = \"L2\"", json!([["wait", "1h30m0s"], ["level", "L2"]])),
        ("list = []\nmap = {}", json!([])),
        ("password = \"p\"", json!([["password", "(secret)"]])),
        ("with.defaults { }", json!([])),
        ("with.defaults {\nname = \"Joe\"\nage = 36\n}", json!([["with.defaults", null, [["age", 36]]]])),
        ("maybe_block { }", json!([["maybe_block", null, []]])),
        ("own_default {\nname = \"Ann\"\nage = 1\n}", json!([])),
        ("own_default { }", json!([["own_default", null, []]])),
        (
            "labelled \"a\" { }\nlabelled \"b\" { text = \"x\" }",
            json!([["labelled", "a", []], ["labelled", "b", [["text", "x"]]]]),
        ),
        (
            "by_label \"z\" { age = 1 }\nby_label \"a\" { }",
            json!([["by_label", "a", []], ["by_label", "z", [["age", 1]]]]),
        ),
        ("boxed \"l\" { }", json!([["boxed", "l", []]])),
    ];
    // What must be given is always shown, and a list or an object although it equals its default.
    let always = [
        json!(["number", 0]),
        json!(["default_list", [{"type": "string", "value": "a"}]]),
        json!(["target", [
            {"key": "__address__", "value": {"type": "string", "value": ""}},
            {"key": "port", "value": {"type": "number", "value": 0}},
        ]]),
    ];
    for (body, wanted) in cases {
        let decoded: Everything = decode(&format!("number = 0\n{body}"));
        let mut got = short(&json::body(&decoded.encode_body()));
        let got = got.as_array_mut().unwrap();
        for statement in &always {
            let at = got.iter().position(|other| other == statement).unwrap_or_else(|| panic!("{statement}: {body}"));
            got.remove(at);
        }
        assert_eq!(json!(got), wanted, "{body}");
    }
}

#[test]
fn required_blocks_are_always_shown() {
    let required: Required = decode("one { }\nmany { age = 2 }\nmany { }");
    let wanted = json!([["one", null, []], ["many", null, [["age", 2]]], ["many", null, []]]);
    assert_eq!(short(&json::body(&required.encode_body())), wanted);
    let none = Required { many: Vec::new(), ..required };
    assert_eq!(short(&json::body(&none.encode_body())), json!([["one", null, []]]));
}

#[test]
fn a_body_as_json() {
    let labelled = Labelled { id: "a".to_owned(), text: "x".to_owned() };
    assert_eq!(labelled.label(), Some("a"));
    let wanted = json!([{
        "name": "labelled", "type": "block", "label": "a",
        "body": [{"name": "text", "type": "attr", "value": {"type": "string", "value": "x"}}],
    }]);
    let block = EncodedStatement::Block {
        name: "labelled".to_owned(),
        label: labelled.label().map(str::to_owned),
        body: labelled.encode_body(),
    };
    assert_eq!(json::body(&[block]), wanted);
}

#[test]
fn exports_are_attributes() {
    let exports = Value::object([("rules", Value::from("r")), ("receiver", Secret::new("x").into())]);
    let wanted = json!([
        {"name": "receiver", "type": "attr", "value": {"type": "capsule", "value": "(secret)"}},
        {"name": "rules", "type": "attr", "value": {"type": "string", "value": "r"}},
    ]);
    assert_eq!(json::body(&EncodedStatement::attributes_of(&exports)), wanted);
    assert_eq!(json::body(&EncodedStatement::attributes_of(&Value::Null)), json!([]));
}

/// As somebody would write it.
fn as_text(body: &[EncodedStatement]) -> String {
    let lines = body.iter().map(|statement| match statement {
        EncodedStatement::Attribute { name, value } => format!("{name} = {value:?}\n"),
        EncodedStatement::Block { name, label, body } => {
            let label = label.as_ref().map(|label| format!("{label:?}")).unwrap_or_default();
            format!("{name} {label} {{\n{}}}\n", as_text(body))
        }
    });
    lines.collect()
}

#[test]
fn what_was_encoded_decodes_into_the_same() {
    let source = "number = -7\ntext = \"a\\n\\\"\"\nmaybe = 0\nlist = [\"x\", \"\"]\nmap = { \"a b\" = 1.5, c = 2 }\n\
                  default_list = []\nwait = \"1.5ms\"\nlevel = \"L9\"\ntarget = { port = 80, __address__ = \"h\" }\n\
                  with.defaults { age = 0 }\nmaybe_block { }\nown_default { }\nlabelled \"a\" { text = \"t\" }\n\
                  by_label \"z\" { name = \"\" }\nboxed \"l\" { }";
    let first: Everything = decode(source);
    // An empty list in the place of a default that is not empty must come back.
    let text = as_text(&first.encode_body());
    let second: Everything = decode(&text);
    assert_eq!(format!("{second:?}"), format!("{first:?}"), "{text}");
}
