//! `flamegate components`.

use std::collections::BTreeSet;
use std::path::Path;

use flamegate_tests::flamegate::{Ended, Flamegate};

async fn components(arguments: &[&str]) -> Ended {
    Flamegate::command(Path::new("/"), &[&["components"], arguments].concat(), "").await.unwrap()
}

/// What is listed, and what a configuration may hold: blocks of each name validate, or fail for another reason than that
/// there are no such ones.
#[tokio::test]
async fn everything_that_may_stand_in_a_configuration_is_listed() {
    let ended = components(&[]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let mut names = BTreeSet::new();
    for line in ended.stdout.lines() {
        let (name, summary) = line.split_once("  ").unwrap_or_else(|| panic!("{line:?} says not what for"));
        assert!(summary.trim().ends_with('.'), "{line:?}");
        assert!(names.insert(name.trim().to_owned()), "{name} stands there twice");
    }
    let expected = ["argument", "declare", "export", "foreach", "import.string", "livedebugging"];
    let components = ["pyroscope.enrich", "pyroscope.receive_http", "pyroscope.relabel", "pyroscope.write"];
    for name in expected.iter().chain(&components) {
        assert!(names.contains(*name), "{name} is missing in {names:?}");
    }

    let folder = tempfile::tempdir().unwrap();
    for name in &names {
        let label = if name.contains('.') || expected.contains(&name.as_str()) { "\"x\"" } else { "" };
        std::fs::write(folder.path().join("a.alloy"), format!("{name} {label} {{ }}\n")).unwrap();
        let checked = Flamegate::command(folder.path(), &["validate", "a.alloy"], "").await.unwrap();
        assert!(!checked.stderr.contains("cannot find"), "{name}: {}", checked.stderr);
    }
}

#[tokio::test]
async fn each_has_a_page() {
    let list = components(&[]).await.stdout;
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let page = components(&[name]).await;
        assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""), "{name}");
        let title = page.stdout.lines().next().unwrap();
        assert!(title.starts_with(name) && title.ends_with("{ … }"), "{name}: {title}");
    }
    // A word of each kind that a page has.
    for (name, lines) in [
        (
            "pyroscope.write",
            &[
                "pyroscope.write \"LABEL\" { … }",
                "  external_labels = map(string)  (default {})",
                "  endpoint { }  (any number)",
                "      url = string  (required)",
                "      remote_timeout = duration  (default \"10s\")",
                "      max_backoff_retries = int  (default 10)",
                "      bearer_token = secret  (optional)",
                "          password = secret  (optional)",
                "Exports",
                "  receiver receiver",
            ][..],
        ),
        ("pyroscope.relabel", &["  forward_to = list(receiver)  (required)", "  rule { }  (any number)"]),
        (
            "pyroscope.enrich",
            &[
                "  targets = list(map(string))  (required)",
                "  target_match_label = string  (required)",
                "  labels_to_copy = list(string)  (default [])",
                "  receiver receiver",
            ],
        ),
        ("livedebugging", &["livedebugging { … }", "  enabled = bool  (default false)"]),
        ("foreach", &["foreach \"LABEL\" { … }", "  collection = list(any)  (required)"]),
        ("export", &["  value = any  (required)"]),
    ] {
        let page = components(&[name]).await.stdout;
        for line in lines {
            assert!(page.lines().any(|other| other == *line), "{name}: {line:?} is missing in\n{page}");
        }
    }
}

#[tokio::test]
async fn an_unknown_name() {
    for (name, says) in [
        ("pyroscope.wrote", "there is no \"pyroscope.wrote\"; did you mean \"pyroscope.write\"?\n"),
        ("nothing", "there is no \"nothing\"; `flamegate components` lists what there is\n"),
    ] {
        let expected = Ended { code: Some(1), stdout: String::new(), stderr: says.to_owned() };
        assert_eq!(components(&[name]).await, expected);
    }
}
