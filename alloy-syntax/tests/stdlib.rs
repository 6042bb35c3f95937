//! The standard library, beyond the conformance cases. What is expected was measured on the reference.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

use alloy_syntax::stdlib::{deprecated_for, deprecation_warnings, is_experimental, is_stdlib_name};
use alloy_syntax::{Scope, Severity, StdlibOptions, Value, parse_expression, parse_file};

fn evaluate(source: &str) -> Result<Value, String> {
    let scope = Scope::stdlib(&StdlibOptions { experimental: true, ..StdlibOptions::default() });
    parse_expression("", source).unwrap().evaluate(&scope).map_err(|error| error.to_string())
}

/// Each expression is `true`.
#[track_caller]
fn assert_true(expressions: &[&str]) {
    for source in expressions {
        assert_eq!(evaluate(source), Ok(Value::Bool(true)), "{source}");
    }
}

#[track_caller]
fn assert_errors(cases: &[(&str, &str)]) {
    for (source, error) in cases {
        assert_eq!(evaluate(source), Err((*error).to_owned()), "{source}");
    }
}

#[test]
fn formats_as_go_does() {
    assert_true(&[
        r#"string.format("%v %v %v", 1e6, 100000.0, 123456789.0) == "1e+06 100000 1.23456789e+08""#,
        r#"string.format("%e|%.2E|%g|%.3g|%G", 1.5, 12345.678, 1e-7, 1234.5, 1e21) == "1.500000e+00|1.23E+04|1e-07|1.23e+03|1E+21""#,
        r##"string.format("%x %X %#x %b %#o %O %c %U %#U", 255, 255, 255, 5, 8, 8, 233, 233, 233) == "ff FF 0xff 101 010 0o10 é U+00E9 U+00E9 'é'""##,
        r#"string.format("%08.3f|%+d|% d|%-6d|%6d|%06d", 3.14159, 5, 5, 42, 42, -42) == "0003.142|+5| 5|42    |    42|-00042""#,
        r#"string.format("%s|%10s|%-10s|%.2s|%q|%x", "héllo", "é", "é", "héllo", "a\"b", "hi") == "héllo|         é|é         |hé|\"a\\\"b\"|6869""#,
        r##"string.format("%v %#v", {b = 1, a = [true, null]}, {b = "x"}) == "map[a:[true <nil>] b:1] map[string]interface {}{\"b\":\"x\"}""##,
        r#"string.format("%5d|%-5d|", "x", true) == "%!d(string=    x)|%!d(bool=true )|""#,
        r#"string.format("%[2]d %[1]d|%*d|%.*f|%", 1, 2, 7, 2, 1.0) == "2 1| 7|1.00|%!(NOVERB)""#,
        r#"string.format("%!", 1) == "%!!(int=1)""#,
        r#"string.format("%x %b", 1.5, 1.0) == "0x1.8p+00 4503599627370496p-52""#,
        r#"string.format("%T %T %T", 1, "a", [1]) == "int string []interface {}""#,
    ]);
}

#[test]
fn json_errors_are_in_gos_words() {
    assert_errors(&[
        (r#"encoding.from_json("")"#, "1:1: encoding.from_json unexpected end of JSON input"),
        (
            r#"encoding.from_json("[1,]")"#,
            "1:1: encoding.from_json invalid character ']' looking for beginning of value",
        ),
        (r#"encoding.from_json("{\"a\" 1}")"#, "1:1: encoding.from_json invalid character '1' after object key"),
        (r#"encoding.from_json("[1 2]")"#, "1:1: encoding.from_json invalid character '2' after array element"),
        (r#"encoding.from_json("1 2")"#, "1:1: encoding.from_json invalid character '2' after top-level value"),
        (
            r#"encoding.from_json("trux")"#,
            "1:1: encoding.from_json invalid character 'x' in literal true (expecting 'e')",
        ),
        (r#"encoding.from_json("01")"#, "1:1: encoding.from_json invalid character '1' after top-level value"),
        (
            r#"encoding.from_json("1.x")"#,
            "1:1: encoding.from_json invalid character 'x' after decimal point in numeric literal",
        ),
        (r#"encoding.from_json("\"a\nb\"")"#, r"1:1: encoding.from_json invalid character '\n' in string literal"),
        (r#"encoding.from_json("\"\\q\"")"#, "1:1: encoding.from_json invalid character 'q' in string escape code"),
    ]);
}

#[test]
fn json_is_read_and_written() {
    assert_true(&[
        r#"encoding.to_json({b = 1, a = [1.5, null, true], c = "<&>"}) == "{\"a\":[1.5,null,true],\"b\":1,\"c\":\"\\u003c\\u0026\\u003e\"}""#,
        r#"encoding.to_json({a = 1e20, b = 1e21, c = 1e-6, d = 1e-7}) == "{\"a\":100000000000000000000,\"b\":1e+21,\"c\":0.000001,\"d\":1e-7}""#,
        r#"encoding.from_json("\"\\ud800x\"") == "\uFFFDx""#,
        r#"encoding.from_json("\"\\ud83d\\ude00\"") == "😀""#,
        r#"json_path("{\"a\": [{\"b\": 1}, {\"b\": 2}]}", "$.a[?(@.b > 1)].b") == [2]"#,
        r#"json_path("[1, 2, 3]", "[-1]") == [3]"#,
    ]);
}

#[test]
fn yaml_is_read_as_the_reference_reads_it() {
    assert_true(&[
        r#"encoding.from_yaml("a: yes\nb: 0x1F\nc: 0b11\nd: 1_000\ne: .5\nf: 'x'") == {a = "yes", b = 31, c = 3, d = 1000, e = 0.5, f = "x"}"#,
        r#"encoding.from_yaml("x: &x {p: 1, q: 1}\ny:\n  <<: *x\n  q: 2").y == {p = 1, q = 2}"#,
        r#"encoding.from_yaml("!!str 1") == "1""#,
        r#"encoding.from_yaml("2001-12-14t21:59:43.10-05:00") == "2001-12-14T21:59:43.1-05:00""#,
        r#"encoding.from_yaml("|\n  a\n  b\n") == "a\nb\n""#,
        r#"encoding.from_yaml("") == null"#,
        r#"encoding.from_yaml("a\n---\nb") == "a""#,
        r#"encoding.from_yaml("08") == 8"#,
    ]);
    assert_errors(&[
        (
            r#"encoding.from_yaml("a: 1\na: 2")"#,
            "1:1: encoding.from_yaml yaml: unmarshal errors:\n  line 2: mapping key \"a\" already defined at line 1",
        ),
        (
            r#"encoding.from_yaml("a: b: c")"#,
            "1:1: encoding.from_yaml yaml: mapping values are not allowed in this context",
        ),
    ]);
}

/// A few lines of aliases must not become billions of values, nor exhaust the stack.
#[test]
fn yaml_does_not_explode() {
    let mut text = String::from("a0: &a0 [1,1,1,1,1,1,1,1,1,1]\\n");
    for level in 1..12 {
        let previous = format!("*a{},", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{previous}]\\n"));
    }
    let error = evaluate(&format!("encoding.from_yaml(\"{text}\")")).unwrap_err();
    assert!(error.contains("excessive aliasing"), "{error}");
    let deep = "[".repeat(10_000);
    let error = evaluate(&format!("encoding.from_yaml(\"{deep}\")")).unwrap_err();
    assert!(error.contains("depth") || error.contains("recursion") || error.contains("did not find"), "{error}");
    let deep_json = evaluate(&format!("encoding.from_json(\"{deep}\")")).unwrap_err();
    assert!(deep_json.contains("unexpected end of JSON input"), "{deep_json}");
}

#[test]
fn strings_and_paths() {
    assert_true(&[
        r#"file.path_join("/a/", "..", "../b", "./c") == "/b/c""#,
        r#"file.path_join("a", "..") == ".""#,
        r#"string.to_upper("ﬁᾳß") == "ﬁᾼß""#,
        r#"string.to_lower("İ") == "i""#,
        r#"string.trim_space(" \u00a0x\u2003") == "x""#,
        r#"string.split("aXbX", "X") == ["a", "b", ""]"#,
        r#"encoding.url_decode("%61+%2B") == "a +""#,
        r#"encoding.from_base64("YQ\n==") == [97]"#,
    ]);
    assert_errors(&[
        (r#"encoding.from_base64("YWI")"#, "1:1: encoding.from_base64 illegal base64 data at input byte 0"),
        (r#"encoding.from_base64("YWJj=")"#, "1:1: encoding.from_base64 illegal base64 data at input byte 4"),
        (r#"encoding.url_decode("a%z")"#, "1:1: encoding.url_decode invalid URL escape \"%z\""),
        ("sys.env()", "1:1: sys.env expected 1 args, got 0"),
        ("string.format()", "1:1: string.format expected at least 1 args, got 0"),
        (r#"array.concat([1], "x")"#, "1:19: \"x\" should be array, got string"),
    ]);
}

#[test]
fn experimental_functions_need_leave() {
    let scope = Scope::stdlib(&StdlibOptions::default());
    let error = parse_expression("", "array.group_by([], \"a\", true)").unwrap().evaluate(&scope).unwrap_err();
    assert_eq!(error.to_string(), "1:1: array.group_by is experimental: allow it with --stability.level=experimental");
    assert!(is_experimental("array.combine_maps"));
    assert!(!is_experimental("array.concat"));
}

#[test]
fn the_names_are_known() {
    let scope = Scope::stdlib(&StdlibOptions::default());
    for name in scope.names() {
        assert!(is_stdlib_name(name), "{name}");
    }
    assert!(!is_stdlib_name("pyroscope"));
    assert_eq!(deprecated_for("env"), Some("sys.env"));
    assert_eq!(deprecated_for("sys"), None);
    let constants = scope.lookup("constants").unwrap().fields().unwrap();
    assert_eq!(constants.keys().map(String::as_str).collect::<Vec<_>>(), ["arch", "hostname", "os", "version"]);
}

#[test]
fn old_names_are_warned_of() {
    let source = r#"a "b" {
  path = sys.env("trim")
  user = env("USER") + string.trim(x.format)
  list = [{ name = split("a,b", ",")[0] }, (trim_space)(" ")]
  inner {
    deeper { text = to_upper(join(["a"], "-")) }
  }
}"#;
    let warnings = deprecation_warnings(&parse_file("f", source).unwrap());
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
    assert!(warnings.0[0].message.starts_with("this stdlib function is deprecated"));
    let found: Vec<_> = warnings
        .iter()
        .map(|warning| {
            let span = warning.span.unwrap();
            let text = &source[span.start.offset..span.end.offset];
            (span.start.line, text, warning.help.as_deref().unwrap())
        })
        .collect();
    assert_eq!(
        found,
        [
            (3, "env", "write sys.env instead"),
            (4, "split", "write string.split instead"),
            (4, "trim_space", "write string.trim_space instead"),
            (6, "to_upper", "write string.to_upper instead"),
            (6, "join", "write string.join instead"),
        ]
    );
}

/// A short text must not make a long one, nor take long.
#[test]
fn what_grows_without_measure_is_refused() {
    let long = |letter: &str| format!("\"{}\"", letter.repeat(8 << 10));
    let objects = format!("[{}]", "{a = 1},".repeat(400));
    let too_long = "would make a text of more than 16777216 bytes: make it of shorter parts";
    for (source, error) in [
        (format!("string.replace({}, \"\", {})", long("a"), long("b")), format!("1:1: string.replace {too_long}")),
        (
            format!("string.join(string.split({}, \"\"), {})", long("a"), long("b")),
            format!("1:1: string.join {too_long}"),
        ),
        (
            format!("string.format(\"{}\", {})", "%[1]s".repeat(8 << 10), long("a")),
            format!("1:1: string.format {too_long}"),
        ),
        (
            format!("string.format(\"{}\"{})", "%65535d".repeat(300), ", 1".repeat(300)),
            format!("1:1: string.format {too_long}"),
        ),
        (
            format!("array.combine_maps({objects}, {objects}, [\"a\"])"),
            "combine_maps: makes more than 100000 objects: give it fewer, or more keys".to_owned(),
        ),
        (
            format!("json_path(\"[1]\", \"${}\")", "[?(@".repeat(40)),
            format!("1:18: \"${}\" is nested too deeply: more than 6 brackets", "[?(@".repeat(40)),
        ),
        (
            "json_path(\"[1]\", \"$..*..*..*..*\")".to_owned(),
            "1:18: \"$..*..*..*..*\" goes down too often: more than 3 times \"..\"".to_owned(),
        ),
        (
            format!("json_path(\"[1]\", \"${}\")", "[*,*]".repeat(13)),
            format!("1:18: \"${}\" goes too many ways: its lists in brackets make more than 4096", "[*,*]".repeat(13)),
        ),
    ] {
        assert_eq!(evaluate(&source), Err(error));
    }
    assert_true(&[
        r#"json_path("{\"[[[[[[[\": 1}", "$['[[[[[[[']") == [1]"#,
        r#"json_path("{\"a\": [[1, 2]]}", "$..['a', 'b'][0][0, 1]") == [1, 2]"#,
        r#"string.replace("aXb", "X", "--") == "a--b""#,
    ]);
}
