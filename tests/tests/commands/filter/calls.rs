//! `flamegate filter run`.

use super::*;

const RULES: &str = r#"[{"target_label": "env", "replacement": "prod"}, {"action": "labeldrop", "regex": "pod"}]"#;

/// Arguments after the component; the exit code, and parts of standard output and of standard error.
type Case = (&'static str, &'static [&'static str], i32, &'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
    (
        "relabel.wasm",
        &["--config", RULES, "--labels", "service_name=shop", "pod=a"],
        0,
        &["relabel 0.1.0, deterministic", "\n+ env=\"prod\"\n- pod=\"a\"\n  service_name=\"shop\"\nverdict: changed\n"],
        &[],
    ),
    ("relabel.wasm", &["--config", "@rules.json", "--labels", "a=b=c"], 0, &["  a=\"b=c\"\n+ env=\"prod\"\n"], &[]),
    ("relabel.wasm", &["--config", "{}"], 1, &[], &["configure refuses the configuration: ", "JSON list of rules"]),
    (
        "hostile.wasm",
        &["--config", "unchanged", "--labels", "a=b"],
        0,
        &["  a=\"b\"\nverdict: unchanged\n", " instructions; memory: "],
        &[],
    ),
    (
        "hostile.wasm",
        &["--config", "unchanged", "--labels-file", "labels.json", "--labels", "a=2"],
        0,
        &["  a=\"2\"\n  b=\"1\"\n"],
        &[],
    ),
    (
        "hostile.wasm",
        &["--config", "drop-reason", "--labels", "reason=noise"],
        0,
        &["- reason=\"noise\"\nverdict: drop, \"noise\"\n"],
        &[],
    ),
    (
        "hostile.wasm",
        &["--config", "lookup=pods", "--labels", "key=p1", "--table", "pods=rows.json:pod"],
        0,
        &["+ team=\"x\"\n"],
        &[],
    ),
    ("hostile.wasm", &["--config", "lookup=pods"], 1, &[], &["apply: ", "add table \"pods\""]),
    ("hostile.wasm", &["--config", "unchanged", "--repeat", "20"], 0, &["\n20 calls: median "], &[]),
    (
        "hostile.wasm",
        &["--config", "counter", "--repeat", "3"],
        0,
        &[
            "+ count=\"1\"\n",
            "call 2 answers otherwise:\n+ count=\"2\"",
            "although the filter says that it is deterministic",
        ],
        &[],
    ),
    ("hostile.wasm", &["--config", "log=2"], 0, &["log error: xxx"], &[]),
    ("hostile.wasm", &["--config", "log=250", "--timeout", "10s"], 0, &["log: 50 more lines\n"], &[]),
    // Which function failed, where in it, which limit was met, and what to do.
    (
        "hostile.wasm",
        &["--config", "panic"],
        1,
        &[],
        &["apply: the filter trapped", "    in function ", "names of functions", "a panic"],
    ),
    ("hostile.wasm", &["--config", "trap-every=3", "--repeat", "5"], 1, &[], &["call 3: apply: the filter trapped"]),
    ("hostile.wasm", &["--config", "recursion"], 1, &[], &["call stack exhausted", ", 20 times", "stack of 512KiB"]),
    ("hostile.wasm", &["--config", "wild-write"], 1, &[], &["out of bounds memory", "a pointer gone astray"]),
    (
        "hostile.wasm",
        &["--config", "loop", "--timeout", "30ms"],
        1,
        &[],
        &["apply: ", "longer than its 30ms", "--timeout here"],
    ),
    (
        "hostile.wasm",
        &["--config", "configure-memory", "--memory-limit", "4MiB"],
        1,
        &[],
        &["configure: ", "memory_limit of 4194304 bytes", "--memory-limit here"],
    ),
    ("hostile.wasm", &["--config", "labels=4097"], 1, &[], &["apply: ", "4097 labels", "at most 4096 labels"]),
    ("hostile.wasm", &["--config", "value=3000000"], 1, &[], &["apply: ", "more than 2 MiB"]),
    ("hostile.wasm", &["--config", "not-utf8"], 1, &[], &["apply: ", "utf-8", "is UTF-8"]),
    // Flags that say nothing that can be meant.
    ("hostile.wasm", &["--labels", "a"], 2, &[], &["'a' for '--labels", "NAME=VALUE"]),
    ("hostile.wasm", &["--table", "rows.json"], 2, &[], &["NAME=FILE.json:KEY"]),
    ("hostile.wasm", &["--timeout", "1h"], 2, &[], &["at most 10s"]),
    ("hostile.wasm", &["--memory-limit", "1GiB"], 2, &[], &["at most 256MiB"]),
    ("hostile.wasm", &["--repeat", "0"], 2, &[], &["'0' for '--repeat"]),
    ("hostile.wasm", &["--config", "@none"], 1, &[], &["cannot read none"]),
    ("hostile.wasm", &["--labels-file", "rows.json"], 1, &[], &["rows.json is no JSON object of labels"]),
    ("hostile.wasm", &["--table", "a=labels.json:b"], 1, &[], &["labels.json is no JSON array of objects"]),
    ("hostile.wasm", &["--table", "a=rows.json:b", "--table", "a=rows.json:c"], 1, &[], &["two tables called \"a\""]),
];

#[tokio::test]
async fn what_a_call_comes_to() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("rules.json", RULES),
        ("labels.json", r#"{"a": "1", "b": "1"}"#),
        ("rows.json", r#"[{"pod": "p1", "team": "x"}, {"pod": "p2", "team": "y"}]"#),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    for (component, arguments, code, stdout, stderr) in CASES {
        let component = examples().join(component);
        let ended = filter(folder.path(), &[&["run", component.to_str().unwrap()], *arguments].concat()).await;
        let context = format!("{arguments:?}");
        assert_eq!(ended.code, Some(*code), "{context}: {ended:?}");
        assert_eq!(ended.stderr.is_empty(), stderr.is_empty(), "{context}: {ended:?}");
        says(&ended.stdout, stdout, &context);
        says(&ended.stderr, stderr, &context);
    }
}
