//! `flamegate filter test`.

use super::*;

const CASES: &str = r#"[
  {
    "name": "drops what says why",
    "config": ["drop-reason"],
    "series": [{ "labels": { "reason": "noise" }, "verdict": { "drop": "noise" } }]
  },
  {
    "name": "rows of a table",
    "config": ["lookup=pods"],
    "tables": { "pods": { "key": "pod", "rows": [{ "pod": "p1", "team": "x" }] } },
    "series": [
      { "labels": { "key": "p1" }, "verdict": { "labels": { "key": "p1", "pod": "p1", "team": "x" } } },
      { "labels": { "key": "p2" }, "verdict": "unchanged" }
    ]
  },
  { "name": "no behaviour", "config": ["kindness"], "refused": "\"kindness\" is no behaviour" }
]"#;

const WRONG: &str = r#"[
  {
    "name": "another label",
    "config": ["build"],
    "series": [{ "labels": { "a": "1" }, "verdict": { "labels": { "a": "1", "build": "mine" } } }]
  },
  { "name": "fails", "config": ["panic"], "series": [{ "labels": {}, "verdict": "unchanged" }] },
  { "name": "is accepted", "config": ["unchanged"], "refused": "no" },
  { "name": "is refused otherwise", "config": ["kindness"], "refused": "no" },
  { "name": "is refused", "config": ["kindness"], "series": [{ "labels": {}, "verdict": "unchanged" }] },
  { "name": "counts, and says that it does not", "config": ["counter"], "series": [{ "labels": {}, "verdict": { "labels": { "count": "1" } } }] },
  { "name": "counts, and says so", "config": ["honest-counter"], "series": [{ "labels": {}, "verdict": { "labels": { "count": "1" } } }] },
  { "name": "takes long", "config": ["loop"], "series": [{ "labels": {}, "verdict": "unchanged" }] }
]"#;

/// A project whose filter is built.
fn project(cases: &str) -> tempfile::TempDir {
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir(project.path().join("build")).unwrap();
    std::fs::copy(examples().join("hostile.wasm"), project.path().join("build/hostile.wasm")).unwrap();
    std::fs::write(project.path().join("cases.json"), cases).unwrap();
    project
}

#[tokio::test]
async fn a_filter_that_does_as_its_cases_say() {
    let project = project(CASES);
    let expected = "ok    drops what says why\nok    rows of a table\nok    no behaviour\n3 cases passed\n";
    let component = examples().join("hostile.wasm");
    let here = project.path();
    let elsewhere = [component.to_str().unwrap(), "--cases", "cases.json"];
    for arguments in [&[][..], &["."], &[here.to_str().unwrap()], &["--cases", "cases.json"], &elsewhere] {
        let ended = filter(here, &[&["test"], arguments].concat()).await;
        let all = Ended { code: Some(0), stdout: expected.to_owned(), stderr: String::new() };
        assert_eq!(ended, all, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_filter_that_does_otherwise() {
    let project = project(WRONG);
    let arguments = ["test", "--timeout", "100ms"];
    let text = filter(project.path(), &arguments).await;
    assert_eq!((text.code, text.stderr.as_str()), (Some(1), ""), "{text:?}");
    let parts = [
        "FAIL  another label\n      series {a=\"1\"}\n        expected  labels: {a=\"1\", build=\"mine\"}\n",
        "            a=\"1\"\n          - build=\"mine\"\n          + build=\"build-aaaaaaaaaaaa\"\n",
        "FAIL  fails\n      series {}\n        expected  unchanged\n        apply: the filter trapped",
        "FAIL  is accepted\n        expected  refused: no\n        found     the configuration is accepted\n",
        "FAIL  is refused otherwise\n        expected  refused: no\n        found     refused: \"kindness\" is no behaviour\n",
        "FAIL  is refused\n        expected  the configuration is accepted\n        configure refuses the configuration: ",
        "FAIL  counts, and says that it does not\n",
        "+ count=\"2\"\n",
        "ok    counts, and says so\n",
        "FAIL  takes long\n",
        "longer than its 100ms",
        "\n7 of 8 cases failed\n",
    ];
    says(&text.stdout, &parts, "text");

    let json = filter(project.path(), &[&arguments[..], &["--format", "json"]].concat()).await;
    assert_eq!((json.code, json.stderr.as_str()), (Some(1), ""), "{json:?}");
    let cases: Vec<Value> = json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let passed: Vec<bool> = cases.iter().map(|case| case["passed"].as_bool().unwrap()).collect();
    assert_eq!(passed, [false, false, false, false, false, false, true, false]);
    assert_eq!(cases[0]["case"], "another label");
    let difference = &cases[0]["differences"][0];
    assert_eq!(difference["labels"]["a"], "1");
    assert_eq!(difference["expected"]["verdict"]["labels"]["build"], "mine");
    assert_eq!(difference["found"]["verdict"]["labels"]["build"], "build-aaaaaaaaaaaa");
    let failed = &cases[1]["differences"][0]["found"]["failed"];
    assert_eq!((&failed["function"], &failed["kind"]), (&"apply".into(), &"trap".into()));
    assert!(failed["frames"].as_array().is_some_and(|frames| !frames.is_empty()), "{failed}");
    assert_eq!(cases[3]["differences"][0]["found"]["refused"], "\"kindness\" is no behaviour");
}

#[tokio::test]
async fn what_becomes_of_profiles() {
    let redact = ["test", "redact.wasm", "--cases", "redact/cases.json"];
    let ended = filter(&examples(), &redact).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    says(&ended.stdout, &["ok    names that begin so are hidden", "\n3 cases passed\n"], "redact");

    let folder = tempfile::tempdir().unwrap();
    for name in ["shop.pb.gz", "shop-redacted.pb.gz"] {
        std::fs::copy(examples().join("redact").join(name), folder.path().join(name)).unwrap();
    }
    std::fs::create_dir(folder.path().join("cases")).unwrap();
    std::fs::write(folder.path().join("cases/cases.json"), PROFILES).unwrap();
    let component = examples().join("probe.wasm");
    // Files are found by where the cases are, wherever the tool is called.
    let arguments = ["test", component.to_str().unwrap(), "--grant", "clock", "--cases", "cases/cases.json"];
    let text = filter(folder.path(), &arguments).await;
    assert_eq!((text.code, text.stderr.as_str()), (Some(1), ""), "{text:?}");
    let parts = [
        "ok    hidden\nok    nothing is left\nok    dropped, profile and all\n",
        "FAIL  hidden otherwise\n      series {}\n        expected  unchanged; profile: changed\n        \
         found     unchanged; profile: changed\n          \
         - 2/2: \"[redacted]\" at \"\":21 \"main\" at \"main.go\":12 \"main\" at \"main.go\":11\n          \
         + 2/2: \"hidden\" at \"pay.go\":21 ",
        "FAIL  left alone\n      series {}\n        expected  unchanged; profile: changed\n        \
         found     unchanged; profile: unchanged\n",
        "FAIL  without a profile\n",
        "in cases, `profile` and `profile_after` of a series\n",
        "FAIL  a profile that is none\n",
        "a profile is a pprof message",
        "\n4 of 7 cases failed\n",
    ];
    says(&text.stdout, &parts, "text");

    let json = filter(folder.path(), &[&arguments[..], &["--format", "json"]].concat()).await;
    let cases: Vec<Value> = json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let difference = &cases[3]["differences"][0];
    assert_eq!(
        (&difference["expected"]["profile"], &difference["found"]["profile"]),
        (&"changed".into(), &"changed".into())
    );
    let lines: Vec<&str> = difference["profile"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(lines.len() == 4 && lines[0].starts_with("- 2/2: "), "{lines:?}");
    assert_eq!(cases[4]["differences"][0]["found"]["profile"], "unchanged");
}

const PROFILES: &str = r#"[
  {
    "name": "hidden",
    "config": ["rename 1 [redacted] "],
    "series": [{ "labels": {}, "profile": "../shop.pb.gz", "verdict": "unchanged", "profile_after": "../shop-redacted.pb.gz" }]
  },
  {
    "name": "nothing is left",
    "config": ["drop-samples 0 1 2 3"],
    "series": [{ "labels": {}, "profile": "../shop.pb.gz", "verdict": "unchanged", "profile_after": "empty" }]
  },
  {
    "name": "dropped, profile and all",
    "config": ["drop noise"],
    "series": [{ "labels": {}, "profile": "../shop.pb.gz", "verdict": { "drop": "noise" } }]
  },
  {
    "name": "hidden otherwise",
    "config": ["rename 1 hidden"],
    "series": [{ "labels": {}, "profile": "../shop.pb.gz", "verdict": "unchanged", "profile_after": "../shop-redacted.pb.gz" }]
  },
  {
    "name": "left alone",
    "config": [],
    "series": [{ "labels": {}, "profile": "../shop.pb.gz", "verdict": "unchanged", "profile_after": "../shop-redacted.pb.gz" }]
  },
  { "name": "without a profile", "config": [], "series": [{ "labels": {}, "verdict": "unchanged" }] },
  {
    "name": "a profile that is none",
    "config": ["range 0 1"],
    "series": [{ "labels": {}, "profile": "cases.json", "verdict": "unchanged", "profile_after": "unchanged" }]
  }
]"#;

#[tokio::test]
async fn what_cannot_be_tested() {
    let project = project("[]");
    std::fs::write(project.path().join("broken.json"), r#"[{"name": "a"}]"#).unwrap();
    for (name, profiles) in [("unsaid", r#""profile": "x""#), ("lost", r#""profile": "x", "profile_after": "empty""#)] {
        let series = format!(r#"[{{ "labels": {{}}, "verdict": "unchanged", {profiles} }}]"#);
        let cases = format!(r#"[{{"name": "{name}", "config": [], "series": {series}}}]"#);
        std::fs::write(project.path().join(name).with_extension("json"), cases).unwrap();
    }
    for (arguments, parts) in [
        (&[][..], &["cases.json", "there is no case"][..]),
        (&["--cases", "broken.json"], &["broken.json", "missing field `config`", "line 1"]),
        (&["--cases", "unsaid.json"], &["unsaid.json", "the case \"unsaid\"", "write `profile_after`"]),
        (&["--cases", "lost.json"], &["lost.json", "the case \"lost\"", "cannot read x", "No such file"]),
        (&["--cases", "none.json"], &["cannot read none.json"]),
        (&["build/hostile.wasm"], &["name the cases of build/hostile.wasm with --cases FILE"]),
        (&["build"], &["build/build holds no component", "`flamegate filter build` makes one"]),
    ] {
        let ended = filter(project.path(), &[&["test"], arguments].concat()).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}: {ended:?}");
        says(&ended.stderr, parts, &format!("{arguments:?}"));
    }
}
