//! Blocks decoded into structs by the derive macro.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_syntax::{
    Arguments, DecodeValue, Diagnostics, Invalid, Scope, Secret, StdlibOptions, TextValue, Value, decode_block,
    decode_block_with_warnings, parse_file,
};

/// Writes profiles.
#[derive(Debug, Arguments)]
#[alloy(validate = Write::validate, unsupported("proxy", "queue.disk"), ignored("legacy"))]
struct Write {
    /// Where to.
    /// More than one line.
    #[alloy(block)]
    endpoint: Vec<Endpoint>,
    #[alloy(attr, optional)]
    external_labels: BTreeMap<String, String>,
    #[alloy(block, optional, name = "profile.cpu")]
    cpu: Cpu,
    #[alloy(block, optional)]
    tls: Option<Tls>,
    #[alloy(block, optional)]
    rule: BTreeMap<String, Rule>,
    #[alloy(attr, default = Mode::Fast)]
    mode: Mode,
    #[alloy(attr, optional)]
    targets: Vec<Target>,
}

#[derive(Debug, Arguments)]
struct Endpoint {
    #[alloy(label)]
    id: String,
    #[alloy(attr)]
    url: String,
    #[alloy(attr, default = Duration::from_secs(10))]
    timeout: Duration,
    #[alloy(attr, optional)]
    password: Option<Secret>,
}

#[derive(Debug, Arguments)]
struct Cpu {
    #[alloy(attr, default = true)]
    enabled: bool,
    #[alloy(attr, default = 97)]
    rate: u32,
}

#[derive(Debug, Arguments)]
struct Tls {
    #[alloy(attr, name = "ca_file")]
    _authority: String,
}

#[derive(Debug, Arguments)]
struct Rule {
    #[alloy(attr, optional)]
    action: String,
}

#[derive(Debug, PartialEq)]
enum Mode {
    Fast,
    Slow,
}

impl TextValue for Mode {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "fast" => Ok(Self::Fast),
            "slow" => Ok(Self::Slow),
            _ => Err("must be \"fast\" or \"slow\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Fast => "fast".to_owned(),
            Self::Slow => "slow".to_owned(),
        }
    }
}

#[derive(Debug, DecodeValue)]
struct Target {
    #[alloy(attr)]
    address: String,
    #[alloy(attr, default = 80)]
    port: u16,
}

impl Write {
    fn validate(&self) -> Result<(), Invalid> {
        if self.cpu.rate == 0 {
            return Err(Invalid::attribute("profile.cpu", "the rate must not be 0: give a number of hertz"));
        }
        if self.external_labels.contains_key("bad") {
            return Err(Invalid::attribute("external_labels", "a label may not be called \"bad\""));
        }
        if self.mode == Mode::Slow && self.endpoint.len() > 1 {
            return Err(Invalid::block("only one endpoint may be slow"));
        }
        Ok(())
    }
}

fn decode<T: Arguments>(source: &str) -> Result<T, Diagnostics> {
    let file = parse_file("test", source)?;
    let scope = Scope::stdlib(&StdlibOptions::default())
        .with("name", Value::object([("list", Value::array([Value::Int(1), Value::Bool(true)]))]));
    decode_block(file.body.blocks().next().unwrap(), &scope)
}

/// What is wrong, with the place of each.
fn errors<T: Arguments + std::fmt::Debug>(source: &str) -> String {
    decode::<T>(source).unwrap_err().to_string()
}

const ENDPOINT: &str = "endpoint \"a\" {\n url = \"http://a\"\n }\n";

#[test]
fn everything_is_decoded() {
    let write: Write = decode(
        r#"pyroscope.write "default" {
            endpoint "a" {
                url      = "http://" + "a"
                password = "p"
            }
            endpoint "b" {
                url     = "http://b"
                timeout = "1m30s"
            }
            external_labels = { zone = 1 }
            profile.cpu { rate = "19" }
            rule "x" { action = "drop" }
            rule "y" { }
            mode    = "slow"
            targets = [{ address = "h", port = "81" }, { address = "i" }]
        }"#
        .replace("\"slow\"", "\"fast\"")
        .as_str(),
    )
    .unwrap();
    let endpoints: Vec<_> = write.endpoint.iter().map(|e| (e.id.as_str(), e.url.as_str(), e.timeout)).collect();
    assert_eq!(endpoints, [("a", "http://a", Duration::from_secs(10)), ("b", "http://b", Duration::from_secs(90))]);
    assert_eq!(write.endpoint[0].password.as_ref().unwrap().expose(), "p");
    assert!(write.endpoint[1].password.is_none());
    assert_eq!(write.external_labels["zone"], "1");
    assert!(write.cpu.enabled);
    assert_eq!(write.cpu.rate, 19);
    assert!(write.tls.is_none());
    let rules: Vec<_> = write.rule.iter().map(|(label, rule)| (label.as_str(), rule.action.as_str())).collect();
    assert_eq!(rules, [("x", "drop"), ("y", "")]);
    let targets: Vec<_> = write.targets.iter().map(|target| (target.address.as_str(), target.port)).collect();
    assert_eq!(targets, [("h", 81), ("i", 80)]);
    assert!(!format!("{write:?}").contains("\"p\""), "a secret is shown");
}

#[test]
fn an_absent_block_has_its_defaults() {
    let write: Write = decode(&format!("w {{\n{ENDPOINT}}}")).unwrap();
    assert!(write.cpu.enabled);
    assert_eq!(write.cpu.rate, 97);
    assert_eq!(write.mode, Mode::Fast);
}

#[test]
fn all_errors_of_a_body_are_shown_with_their_places() {
    let source = r#"w {
  endpoint {
    url = 1 + "x"
  }
  endpoint "b" {
    urls = "http://b"
  }
  externallabels = {}
  mode = "medium"
  mode = "fast"
  tls {
    ca_file = "a"
  }
  tls "x" { ca_file = "b" }
  profile.cpu = 1
  profiles.cpu { }
  targets {
    x = 1
  }
  rule { }
}"#;
    let expected = [
        r#"test:2:3: block "endpoint" requires non-empty label"#,
        r#"test:3:15: "x" should be number, got string"#,
        r#"test:5:3: missing required attribute "url""#,
        r#"test:6:5: unrecognized attribute name "urls""#,
        r#"test:8:3: unrecognized attribute name "externallabels""#,
        r#"test:10:3: attribute "mode" may only be provided once"#,
    ];
    let parse_error = parse_file("test", source).unwrap_err().to_string();
    assert_eq!(parse_error, r#"test:15:3: attribute names may only consist of a single identifier with no ".""#);
    let got = errors::<Write>(&source.replace("  profile.cpu = 1\n", "  tls = 1\n"));
    for line in expected {
        assert!(got.contains(line), "{line}\n is not in\n{got}");
    }
    for line in [
        r#"test:14:3: block "tls" may only be specified once"#,
        r#"test:15:3: "tls" must be a block, but is used as an attribute"#,
        r#"test:16:3: unrecognized block name "profiles.cpu""#,
        r#"test:17:3: "targets" must be an attribute, but is used as a block"#,
        r#"test:20:3: block "rule" requires non-empty label"#,
    ] {
        assert!(got.contains(line), "{line}\n is not in\n{got}");
    }
    let lines: Vec<usize> = got.lines().map(|line| line.split(':').nth(1).unwrap().parse().unwrap()).collect();
    assert!(lines.is_sorted(), "{got}");
}

#[test]
fn a_misspelt_name_gets_a_suggestion() {
    let error = decode::<Write>(&format!("w {{\n{ENDPOINT}externl_labels = {{}}\n}}")).unwrap_err();
    assert_eq!(error.0[0].help.as_deref(), Some("did you mean \"external_labels\"?"));
    assert_eq!(error.0[0].message, "unrecognized attribute name \"externl_labels\"");
}

#[test]
fn a_type_error_names_the_part_that_is_wrong() {
    let body = |attribute: &str| errors::<Write>(&format!("w {{\n{ENDPOINT}{attribute}\n}}"));
    assert_eq!(body("mode = \"medium\""), "test:5:8: \"medium\" must be \"fast\" or \"slow\"");
    assert_eq!(body("external_labels = {\n a = [1],\n}"), "test:6:6: [1] should be string, got array");
    assert_eq!(body("targets = name.list"), "test:5:11: name.list[0] should be object, got number");
    assert_eq!(
        body("targets = [{ address = \"a\" }, { address = true }]"),
        "test:5:43: true should be string, got bool"
    );
    assert_eq!(
        body("targets = array.concat([{ address = \"a\" }], [{ address = \"a\", port = \"x\" }])"),
        "test:5:70: \"x\" should be number, got string"
    );
    assert_eq!(body("targets = [{ }]"), "test:5:12: {} misses the field \"address\"");
    assert_eq!(body("targets = [{ adress = 1 }]"), "test:5:23: 1 does not have field named \"adress\"");
    assert_eq!(body("mode = null"), "test:5:8: null should be string, got null");
    assert_eq!(
        errors::<Write>("w {\nendpoint \"a\" {\nurl = \"x\"\ntimeout = \"-5s\"\n}\n}"),
        "test:4:11: \"-5s\" must not be negative: give a duration of 0s or more"
    );
    assert_eq!(
        errors::<Write>("w {\nendpoint \"a\" {\nurl = mode\n}\n}"),
        "test:3:7: identifier \"mode\" does not exist"
    );
}

#[test]
fn validation_is_reported_at_its_attribute_or_block() {
    let body = |inside: &str| errors::<Write>(&format!("w \"l\" {{\n{ENDPOINT}{inside}\n}}"));
    assert_eq!(body("external_labels = { bad = 1 }"), "test:5:19: a label may not be called \"bad\"");
    assert_eq!(body("profile.cpu { rate = 0 }"), "test:5:1: the rate must not be 0: give a number of hertz");
    assert_eq!(body("mode = \"slow\"\nendpoint \"b\" {\nurl = \"x\"\n}"), "test:1:1: only one endpoint may be slow");
}

#[test]
fn what_is_missing_is_reported_at_the_block() {
    assert_eq!(errors::<Write>("w { }"), "test:1:1: missing required block \"endpoint\"");
    assert_eq!(errors::<Write>("w {\nendpoint \"a\" { }\n}"), "test:2:1: missing required attribute \"url\"");
}

#[test]
fn labels_are_refused_where_there_is_no_field_for_them() {
    assert_eq!(
        errors::<Write>(&format!("w {{\n{ENDPOINT}profile.cpu \"x\" {{ }}\n}}")),
        "test:5:1: block \"profile.cpu\" does not support specifying labels"
    );
    assert_eq!(
        errors::<Write>(&format!("w {{\n{ENDPOINT}rule \"x\" {{ }}\nrule \"x\" {{ }}\n}}")),
        "test:6:1: block \"rule\" with label \"x\" may only be specified once"
    );
}

#[test]
fn known_names_of_the_reference_are_refused_or_ignored() {
    assert_eq!(
        errors::<Write>(&format!("w {{\n{ENDPOINT}proxy = 1\nqueue.disk {{ }}\n}}")),
        "test:5:1: attribute \"proxy\" is not supported by this version of Flamegate\n\
         test:6:1: block \"queue.disk\" is not supported by this version of Flamegate"
    );
    let file = parse_file("test", &format!("w {{\n{ENDPOINT}legacy = nosuch\n}}")).unwrap();
    let block = file.body.blocks().next().unwrap();
    let decoded = decode_block_with_warnings::<Write>(block, &Scope::empty()).unwrap();
    assert_eq!(decoded.warnings.to_string(), "test:5:1: attribute \"legacy\" has no effect and may be removed");
    assert!(!decoded.warnings.has_errors());
}

#[test]
fn the_schema_says_what_the_struct_says() {
    let schema = Write::schema();
    assert_eq!(schema.doc, "Writes profiles.");
    let attributes: Vec<_> = schema
        .attributes
        .iter()
        .map(|attribute| {
            (attribute.name, attribute.type_name.as_str(), attribute.required, attribute.default.as_deref())
        })
        .collect();
    assert_eq!(
        attributes,
        [
            ("external_labels", "map(string)", false, Some("{}")),
            ("mode", "string", false, Some("\"fast\"")),
            ("targets", "list(object)", false, Some("[]")),
        ]
    );
    let blocks: Vec<_> =
        schema.blocks.iter().map(|block| (block.name, block.required, block.repeated, block.labelled)).collect();
    assert_eq!(
        blocks,
        [
            ("endpoint", true, true, true),
            ("profile.cpu", false, false, false),
            ("tls", false, false, false),
            ("rule", false, true, true),
        ]
    );
    assert_eq!(schema.blocks[0].doc, "Where to.\nMore than one line.");
    let endpoint = (schema.blocks[0].schema)();
    assert!(endpoint.labelled);
    assert_eq!(endpoint.attributes[1].default, Some("\"10s\"".to_owned()));
    assert_eq!(endpoint.attributes[2].type_name, "secret");
    assert_eq!(endpoint.attributes[2].default, None, "not given, it is nothing");
    assert_eq!(schema.unsupported, ["proxy", "queue.disk"]);
}

/// Asks a server.
#[derive(Debug, Arguments)]
struct Asking {
    #[alloy(attr)]
    url: String,
    #[alloy(flatten)]
    client: Client,
    #[alloy(block, optional)]
    cpu: Cpu,
}

#[derive(Debug, Arguments)]
#[alloy(validate = Client::validate, unsupported("proxy_url"))]
struct Client {
    #[alloy(attr, default = true)]
    follow_redirects: bool,
    #[alloy(attr, optional)]
    token: String,
    #[alloy(block, optional)]
    tls: Option<Tls>,
}

impl Client {
    fn validate(&self) -> Result<(), Invalid> {
        if self.token == "bad" {
            return Err(Invalid::attribute("token", "is bad"));
        }
        Ok(())
    }
}

#[test]
fn the_fields_of_a_flattened_struct_stand_in_the_same_body() {
    let asking: Asking = decode("asking {\n url = \"a\"\n token = \"t\"\n tls {\n ca_file = \"c\"\n }\n}").unwrap();
    assert_eq!((asking.url.as_str(), asking.client.token.as_str(), asking.cpu.rate), ("a", "t", 97));
    assert!(asking.client.follow_redirects && asking.client.tls.is_some());
    let names: Vec<String> = asking.encode_body().iter().map(|statement| format!("{statement:?}")).collect();
    assert!(names.len() == 3 && names[1].contains("\"token\"") && names[2].contains("\"tls\""), "{names:?}");
    let schema = Asking::schema();
    let names: Vec<&str> = schema.attributes.iter().map(|attribute| attribute.name).collect();
    assert_eq!(names, ["url", "follow_redirects", "token"]);
    assert_eq!(schema.blocks.iter().map(|block| block.name).collect::<Vec<_>>(), ["tls", "cpu"]);
    assert_eq!(schema.unsupported, ["proxy_url"]);
}

#[test]
fn errors_in_a_flattened_struct_have_their_places() {
    let bad = errors::<Asking>("a {\n url = \"a\"\n token = \"bad\"\n}");
    assert_eq!(bad, "test:3:10: is bad");
    let misspelt = decode::<Asking>("a {\n url = \"a\"\n tken = \"t\"\n}").unwrap_err();
    assert_eq!(misspelt.0[0].help.as_deref(), Some("did you mean \"token\"?"));
    let unsupported = errors::<Asking>("a {\n url = \"a\"\n proxy_url = \"t\"\n}");
    assert!(unsupported.contains("is not supported by this version"), "{unsupported}");
}
