//! `flamegate filter test`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::bounds::{Grants, MemoryLimit, timeout};
use super::{Format, Reader, build, component, profile, show, tell};
use crate::filters::Verdict;
use crate::filters::cases::{Case, Limits, Mismatch, Outcome, ProfileAfter};

/// Flags of `filter test`.
#[derive(Debug, Args)]
pub struct TestFlags {
    /// A project, whose build/ holds the component, or a component
    #[arg(default_value = ".")]
    filter: PathBuf,
    /// The cases; of a project, its cases.json where none are named
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// The longest that a call may take; longer than with `wasm.filter`, for a busy machine is no fault of the filter
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = timeout)]
    timeout: Duration,
    #[command(flatten)]
    memory_limit: MemoryLimit,
    #[command(flatten)]
    grants: Grants,
    #[command(flatten)]
    format: Format,
}

/// Succeeds where the filter does in each case as it should.
pub(super) fn run(flags: &TestFlags) -> anyhow::Result<ExitCode> {
    let (component, cases) = subject(&flags.filter, flags.cases.as_deref())?;
    let cases = read(&cases)?;
    let module = component::load(&component)?;
    let (timeout, memory_limit) = (flags.timeout, flags.memory_limit.bytes());
    let limits = Limits { capabilities: flags.grants.all(), timeout, memory_limit };
    let mut failed = 0;
    for case in &cases {
        let differences = case.differences(&module, &limits);
        failed += usize::from(!differences.is_empty());
        match flags.format.format {
            Reader::Text => tell(&text(case, &differences)),
            Reader::Json => tell(&format!("{}\n", as_json(case, &differences))),
        }
    }
    if flags.format.format == Reader::Text {
        let s = if cases.len() == 1 { "" } else { "s" };
        tell(&match failed {
            0 => format!("{} case{s} passed\n", cases.len()),
            failed => format!("{failed} of {} case{s} failed\n", cases.len()),
        });
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files that cases name lie beside theirs, or where a path from there leads.
fn read(cases: &Path) -> anyhow::Result<Vec<Case>> {
    let profile =
        |path: &Path| component::read_profile(&cases.with_file_name(path)).map_err(|error| format!("{error:#}"));
    Case::read_all(&component::read_text(cases)?, profile).with_context(|| cases.display().to_string())
}

/// The component, and the file of its cases.
fn subject(filter: &Path, cases: Option<&Path>) -> anyhow::Result<(PathBuf, PathBuf)> {
    let is_project = filter.is_dir();
    let component = if is_project { build::built(filter)? } else { filter.to_owned() };
    match cases {
        Some(cases) => Ok((component, cases.to_owned())),
        None if is_project => Ok((component, filter.join("cases.json"))),
        None => bail!("name the cases of {} with --cases FILE", filter.display()),
    }
}

fn text(case: &Case, differences: &[Mismatch]) -> String {
    if differences.is_empty() {
        return format!("ok    {}\n", case.name);
    }
    let mut text = format!("FAIL  {}\n", case.name);
    for Mismatch { labels, expected, found } in differences {
        let mut said = String::new();
        if let Some(labels) = labels {
            let _always = writeln!(said, "series {labels}");
        }
        let _always = writeln!(said, "  expected  {}", show::words(expected));
        match &found.outcome {
            Ok(other) => {
                let _always = writeln!(said, "  found     {}", show::words(other));
                said += &indented(&labels_between(expected, other).unwrap_or_default(), "    ");
                said += &indented(&profiles_between(expected, other).unwrap_or_default(), "    ");
            }
            Err(error) => said += &indented(&show::failure(error), "  "),
        }
        said += &indented(&show::log(found), "  ");
        text += &indented(&said, "      ");
    }
    text
}

/// What of the labels is other than expected; where either has none there is no more to say.
fn labels_between(expected: &Outcome, found: &Outcome) -> Option<String> {
    match (expected, found) {
        (Outcome::Verdict(Verdict::Replace(expected), _), Outcome::Verdict(Verdict::Replace(found), _)) => {
            Some(show::difference(expected, found))
        }
        _ => None,
    }
}

/// As of labels: what of the profile is other than expected.
fn profiles_between(expected: &Outcome, found: &Outcome) -> Option<String> {
    match (expected, found) {
        (
            Outcome::Verdict(_, Some(ProfileAfter::Changed(expected))),
            Outcome::Verdict(_, Some(ProfileAfter::Changed(found))),
        ) => Some(profile::mismatch(expected, found)),
        _ => None,
    }
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}

fn as_json(case: &Case, differences: &[Mismatch]) -> Value {
    let differences: Vec<Value> = differences
        .iter()
        .map(|Mismatch { labels, expected, found }| {
            let profile = found.outcome.as_ref().ok().and_then(|found| profiles_between(expected, found));
            json!({
                "labels": labels.as_ref().map(show::labels_as_json),
                "expected": show::outcome_as_json(Ok(expected)),
                "found": show::outcome_as_json(found.outcome.as_ref()),
                "profile": profile.map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()),
                "log": show::log_as_json(found),
            })
        })
        .collect();
    json!({ "case": case.name, "passed": differences.is_empty(), "differences": differences })
}
