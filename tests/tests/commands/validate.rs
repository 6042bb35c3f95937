//! `flamegate validate`.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::{Ended, Flamegate};
use serde_json::Value;

/// `NAME.alloy` and what is said of it in `NAME.expected`: `file:line:column: severity: message`, and what helps below.
fn cases() -> BTreeMap<String, String> {
    let folder = folder();
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let cases: BTreeMap<String, String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "alloy"))
        .map(|path| {
            let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), expected)
        })
        .collect();
    assert!(cases.len() > 25, "{cases:?}");
    cases
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands/validate")
}

async fn validate(folder: &Path, arguments: &[&str]) -> Ended {
    Flamegate::command(folder, &[&["validate"], arguments].concat(), "").await.unwrap()
}

fn diagnostics(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A diagnostic as `.expected` has it.
fn line(diagnostic: &Value) -> String {
    let text = |key: &str| diagnostic[key].as_str().unwrap();
    let (line, column) = (&diagnostic["start"]["line"], &diagnostic["start"]["column"]);
    let said = format!("{}:{line}:{column}: {}: {}\n", text("file"), text("severity"), text("message"));
    match diagnostic.get("help") {
        Some(help) => format!("{said}  help: {}\n", help.as_str().unwrap()),
        None => said,
    }
}

fn exit_code(expected: &str) -> Option<i32> {
    Some(i32::from(expected.contains(": error: ")))
}

#[tokio::test]
async fn for_programs() {
    for (file, expected) in cases() {
        let ended = validate(&folder(), &["--format", "json", &file]).await;
        assert_eq!(ended.code, exit_code(&expected), "{file}: {ended:?}");
        assert_eq!(ended.stderr, "", "{file}");
        let diagnostics = diagnostics(&ended.stdout);
        assert_eq!(diagnostics.iter().map(line).collect::<String>(), expected, "{file}");
        let text = std::fs::read_to_string(folder().join(&file)).unwrap();
        for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic["file"] == file.as_str()) {
            for end in ["start", "end"] {
                let place = |key: &str| usize::try_from(diagnostic[end][key].as_u64().unwrap()).unwrap();
                let before = text.get(..place("offset")).unwrap();
                let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
                let line = before.matches('\n').count() + 1;
                assert_eq!((place("line"), place("column")), (line, column), "{file}: {end} of {diagnostic}");
            }
            assert!(diagnostic["start"]["offset"].as_u64() <= diagnostic["end"]["offset"].as_u64(), "{diagnostic}");
        }
    }
}

#[tokio::test]
async fn for_people() {
    for (file, expected) in cases() {
        let ended = validate(&folder(), &[&file]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (exit_code(&expected), ""), "{file}: {ended:?}");
        let fails = exit_code(&expected) == Some(1);
        assert_eq!(ended.stderr.ends_with("\nvalidation failed\n"), fails, "{file}: {}", ended.stderr);
        assert!(fails || !expected.is_empty() || ended.stderr.is_empty(), "{file}: {}", ended.stderr);
        let source = std::fs::read_to_string(folder().join(&file)).unwrap();
        let of_file = expected.lines().filter_map(|line| line.strip_prefix(&format!("{file}:")));
        for diagnostic in of_file {
            let (place, said) = diagnostic.split_once(": ").unwrap();
            assert!(ended.stderr.contains(said), "{file}: {said:?} is missing in\n{}", ended.stderr);
            let number: usize = place.split(':').next().unwrap().parse().unwrap();
            // The end of the text has no line of its own: the one before it is shown.
            let Some(of_source) = source.lines().nth(number - 1) else { continue };
            let arrow = format!("--> {file}:{place}\n");
            let (_, shown) = ended.stderr.split_once(&arrow).unwrap_or_else(|| panic!("{arrow:?}: {}", ended.stderr));
            let mut lines = shown.lines().skip_while(|line| !line.starts_with(|c: char| c.is_ascii_digit()));
            let line = lines.next().unwrap();
            assert!(line.starts_with(&number.to_string()) && line.contains(of_source.trim()), "{file}: {shown}");
            assert!(lines.next().unwrap().contains('^'), "{file}: {shown}");
        }
        for help in expected.lines().filter_map(|line| line.strip_prefix("  help: ")) {
            assert!(ended.stderr.contains(&format!("help: {help}")), "{file}: {help:?}: {}", ended.stderr);
        }
    }
}

/// `secrets.alloy` makes its secret of two halves, so that it stands nowhere but in values.
#[tokio::test]
async fn secrets_are_not_said() {
    for format in ["text", "json"] {
        let ended = validate(&folder(), &["--format", format, "secrets.alloy"]).await;
        assert!(!(ended.stdout + &ended.stderr).contains("hunter"), "{format}");
    }
}

#[tokio::test]
async fn a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("c")).unwrap();
    write("a.alloy", "pyroscope.relabel \"a\" {\n  forward_to = [pyroscope.write.b.receiver]\n}\n");
    write("b.alloy", "pyroscope.write \"b\" { }\n");
    write("c/d.alloy", "not read: folders inside are not\n");
    write("e.txt", "not read: not *.alloy\n");
    let ended = validate(folder.path(), &["."]).await;
    assert_eq!(ended, Ended { code: Some(0), stdout: String::new(), stderr: String::new() });

    write("b.alloy", "pyroscope.write \"c\" { }\n");
    write("f.alloy", "pyroscope.write \"c\" { }\n");
    let ended = validate(folder.path(), &["--format=json", "."]).await;
    let said: String = diagnostics(&ended.stdout).iter().map(line).collect();
    let expected = "./a.alloy:2:17: error: component \"pyroscope.write.b.receiver\" does not exist or is out of scope\n  \
        help: did you mean \"pyroscope.write.c\"?\n\
        ./f.alloy:1:1: error: block pyroscope.write.c already declared at ./b.alloy:1:1\n";
    assert_eq!((ended.code, said.as_str()), (Some(1), expected));
}

#[tokio::test]
async fn what_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("latin.alloy"), b"// \xe9\n").unwrap();
    for (path, says) in [
        ("none.alloy", "cannot read none.alloy: No such file"),
        ("empty", "empty: the folder holds no *.alloy file"),
        ("latin.alloy", "latin.alloy: not UTF-8"),
    ] {
        let ended = validate(folder.path(), &[path]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{path}");
        assert!(ended.stderr.contains(says), "{path}: {}", ended.stderr);
    }
    let ended = validate(folder.path(), &[]).await;
    assert!(ended.code != Some(0) && ended.stderr.contains("PATH"), "{ended:?}");
}

/// Nothing is bound, and nothing is written.
#[tokio::test]
async fn nothing_is_opened() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let receive = ReceiveHttp { label: "in", writes: &["out"], ..ReceiveHttp::default() }.block();
    let receive = receive.replace("listen_port = 0", &format!("listen_port = {port}"));
    // An address that no one answers on: whoever connected would say so.
    let configuration = receive + &blocks::write("out", &["http://127.0.0.1:1".to_owned()], "");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.alloy"), configuration).unwrap();
    let ended = validate(folder.path(), &["a.alloy"]).await;
    assert_eq!(ended, Ended { code: Some(0), stdout: String::new(), stderr: String::new() });
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no folder for storage is made");
}

#[tokio::test]
async fn the_references_flags_are_accepted() {
    let flags = ["--stability.level=experimental", "--config.format=alloy", "--feature.community-components.enabled"];
    let ended = validate(&folder(), &[&flags[..], &["valid.alloy"]].concat()).await;
    assert_eq!(ended, Ended { code: Some(0), stdout: String::new(), stderr: String::new() });
}
