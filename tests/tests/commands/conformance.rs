//! The cases of component arguments, through `validate`.

use std::collections::BTreeSet;
use std::path::Path;

use flamegate_tests::conformance::{Case, cases};
use flamegate_tests::flamegate::Flamegate;
use serde_json::Value;

/// The body of a case as a block.
fn configuration(case: &Case) -> String {
    let [component, body] = ["component", "body"].map(|key| case.value[key].as_str().unwrap());
    format!("{component} \"case\" {{\n{body}\n}}\n")
}

#[tokio::test]
async fn arguments() {
    let folder = tempfile::tempdir().unwrap();
    let list = Flamegate::command(Path::new("/"), &["components"], "").await.unwrap().stdout;
    let registered: BTreeSet<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let mut tried = 0;
    for case in cases("args_validation.json").unwrap() {
        let Case { id, value } = &case;
        std::fs::write(folder.path().join("case.alloy"), configuration(&case)).unwrap();
        let ended = Flamegate::command(folder.path(), &["validate", "--format=json", "case.alloy"], "").await.unwrap();
        let said: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let messages: Vec<&str> = said.iter().map(|diagnostic| diagnostic["message"].as_str().unwrap()).collect();
        let component = value["component"].as_str().unwrap();
        let expected = value["error"].as_str().or_else(|| value["error_contains"].as_str());
        let is_syntax = expected.is_some_and(|expected| expected.starts_with(|c: char| c.is_ascii_digit()));
        if !registered.contains(component) && !is_syntax {
            // As soon as it is there, its cases apply.
            assert_eq!(messages, [format!("cannot find the definition of component name \"{component}\"")], "{id}");
            continue;
        }
        tried += 1;
        match expected {
            None => assert_eq!((ended.code, messages.len()), (Some(0), 0), "{id}: {messages:?}"),
            // `line:column: message (and 1 more diagnostics)`; the block adds a line before the body.
            Some(expected) if is_syntax => {
                let message = expected.splitn(3, ':').nth(2).unwrap().split(" (and").next().unwrap().trim();
                let line: u64 = expected.split(':').next().unwrap().parse().unwrap();
                assert_eq!((messages[0], &said[0]["start"]["line"]), (message, &(line + 1).into()), "{id}");
            }
            Some(expected) => {
                assert_eq!(ended.code, Some(1), "{id}");
                assert!(messages.iter().any(|message| message.contains(expected)), "{id}: {expected:?}: {messages:?}");
            }
        }
    }
    assert!(tried >= 5, "{tried}");
}
