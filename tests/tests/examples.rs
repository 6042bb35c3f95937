//! The examples of the reference's documentation: those whose components are all here run, and of the others nothing is
//! said but what is missing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::DEADLINE;
use serde::Deserialize;

#[path = "examples/extract.rs"]
mod extract;

use extract::{block_name, examples};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    example: Vec<Example>,
    incomplete: Vec<Incomplete>,
}

/// A copy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    file: String,
    documents: Vec<String>,
}

/// What is no whole configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Incomplete {
    document: String,
    /// Its first block.
    starts: String,
    reason: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn catalogue() -> Catalogue {
    toml::from_str(&std::fs::read_to_string(folder().join("examples.toml")).unwrap()).unwrap()
}

fn text(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap()
}

/// The same where it may run: on free ports of loopback, sending to a port of loopback that no one listens on, and
/// leaving the JVMs of this host alone.
fn on_loopback(example: &str) -> String {
    let mut rewritten = String::new();
    for line in example.replace(".*/java$", "/nowhere/java$").lines() {
        let name = line.split('=').next().unwrap_or_default().trim();
        match name {
            "listen_port" => rewritten += "listen_port = 0",
            "listen_address" => rewritten += "listen_address = \"127.0.0.1\"",
            _ => {
                rewritten +=
                    &["https://", "http://", "tcp://", "\"__address__\" = \""].iter().fold(line.to_owned(), elsewhere)
            }
        }
        rewritten.push('\n');
    }
    rewritten
}

/// With another host and port behind the first such beginning.
fn elsewhere(line: String, beginning: &&str) -> String {
    let Some((before, after)) = line.split_once(*beginning) else { return line };
    let rest = after.find(['/', '"']).map_or("", |end| &after[end..]);
    format!("{before}{beginning}127.0.0.1:9{rest}")
}

/// The names of the components that there are.
async fn registered() -> BTreeSet<String> {
    let list = Flamegate::command(&folder(), &["components"], "").await.unwrap().stdout;
    list.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

/// Every copy: whether it runs, or what it lacks.
#[tokio::test]
async fn each_example_runs_or_lacks_only_components() {
    let registered = registered().await;
    let mut run = 0;
    for Example { file, .. } in catalogue().example {
        let text = text(&file);
        let names: BTreeSet<&str> = text.lines().filter_map(block_name).collect();
        let missing: BTreeSet<String> =
            names.iter().filter(|name| !registered.contains(**name)).map(|name| (*name).to_owned()).collect();
        let ended = Flamegate::command(&folder(), &["validate", "--format=json", &file], "").await.unwrap();
        let diagnostics = ended.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let errors: Vec<String> = diagnostics
            .filter(|diagnostic| diagnostic["severity"] == "error")
            .map(|diagnostic| diagnostic["message"].as_str().unwrap().to_owned())
            .collect();
        if missing.is_empty() {
            assert_eq!((ended.code, errors.len()), (Some(0), 0), "{file}: {errors:?}");
            let flamegate =
                Flamegate::start(&on_loopback(&text), &[]).await.unwrap_or_else(|error| panic!("{file}: {error}"));
            flamegate.into_folder(DEADLINE).await.unwrap_or_else(|error| panic!("{file}: {error}"));
            run += 1;
            continue;
        }
        assert_eq!(ended.code, Some(1), "{file}");
        let said: BTreeSet<String> = errors.iter().map(|message| unknown_name(message, &file)).collect();
        assert_eq!(said, missing, "{file}");
    }
    assert!(run >= 10, "{run} examples ran");
}

fn unknown_name(message: &str, file: &str) -> String {
    let name = message.strip_prefix("cannot find the definition of component name ");
    name.unwrap_or_else(|| panic!("{file}: {message}")).trim_matches('"').to_owned()
}

#[test]
fn every_copy_is_catalogued() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".alloy"))
        .collect();
    let catalogued: BTreeSet<String> = catalogue().example.into_iter().map(|example| example.file).collect();
    assert_eq!(files, catalogued);
}

#[test]
fn examples_stay_on_this_host() {
    for Example { file, .. } in catalogue().example {
        for line in on_loopback(&text(&file)).lines() {
            for (at, _) in line.match_indices("://").chain(line.match_indices("\"__address__\" = \"")) {
                let here = line[at..].contains("127.0.0.1:9") || line[..at].ends_with("unix");
                assert!(here, "{file}: {line}");
            }
            assert!(!line.contains("0.0.0.0\""), "{file}: {line}");
        }
    }
}

/// The catalogue holds what the documents hold, no more and no less.
#[test]
#[ignore = "needs the documents: FLAMEGATE_REFERENCE_DOCS names their folder"]
fn the_catalogue_is_complete() {
    let documents = PathBuf::from(std::env::var_os("FLAMEGATE_REFERENCE_DOCS").unwrap());
    let Catalogue { example, mut incomplete } = catalogue();
    let mut found: BTreeSet<(String, String)> = BTreeSet::new();
    for entry in std::fs::read_dir(&documents).unwrap() {
        let document = entry.unwrap().file_name().into_string().unwrap();
        for text_there in examples(&std::fs::read_to_string(documents.join(&document)).unwrap()) {
            if let Some(copy) = example.iter().find(|copy| text(&copy.file) == text_there) {
                found.insert((copy.file.clone(), document.clone()));
                continue;
            }
            let starts = text_there.lines().find(|line| block_name(line).is_some()).unwrap();
            let listed = incomplete.iter().position(|other| other.document == document && other.starts == starts);
            let listed = listed.unwrap_or_else(|| panic!("{document}: neither copied nor listed:\n{text_there}"));
            assert!(!incomplete.remove(listed).reason.is_empty());
        }
    }
    let of_example = |example: &Example| {
        let pair = |document: &String| (example.file.clone(), document.clone());
        example.documents.iter().map(pair).collect::<Vec<_>>()
    };
    assert_eq!(found, example.iter().flat_map(of_example).collect());
    assert!(incomplete.is_empty(), "not in the documents: {incomplete:?}");
}
