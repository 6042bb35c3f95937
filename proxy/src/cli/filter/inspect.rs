//! `flamegate filter inspect`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::contract::Fit;
use super::interfaces::Interfaces;
use super::{Digits, Format, Reader, component, show, tell};
use crate::filters::{Described, Digest, FilterHost, MAX_MEMORY, Trial, TrialError};

/// Flags of `filter inspect`.
#[derive(Debug, Args)]
pub struct InspectFlags {
    /// The component
    component: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Succeeds where the component can be run.
pub(super) fn run(flags: &InspectFlags) -> anyhow::Result<ExitCode> {
    let findings = Findings::of(&flags.component)?;
    match flags.format.format {
        Reader::Text => tell(&findings.text()),
        Reader::Json => tell(&format!("{}\n", findings.json())),
    }
    Ok(findings.code())
}

/// What there is to say of a component.
pub(super) struct Findings {
    path: PathBuf,
    size: usize,
    digest: Digest,
    interfaces: Interfaces,
    fit: Fit,
    /// Why it cannot be run although its names fit, or what it says of itself.
    described: Option<Result<Described, String>>,
}

impl Findings {
    /// Reads, compiles and asks it.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let bytes = component::read(path)?;
        let interfaces = Interfaces::read(&bytes).with_context(|| path.display().to_string())?;
        let fit = Fit::of(&interfaces);
        let described = fit.problems.is_empty().then(|| describe(&bytes));
        Ok(Self { path: path.to_owned(), size: bytes.len(), digest: Digest::of(&bytes), interfaces, fit, described })
    }

    pub(super) fn code(&self) -> ExitCode {
        if matches!(self.described, Some(Ok(_))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let _always = writeln!(text, "{name:10}{value}");
        };
        line("file", &self.path.display().to_string());
        line("size", &format!("{} bytes", Digits(self.size as u64)));
        line("sha256", &self.digest.to_string());
        match &self.fit {
            Fit { world, problems } if problems.is_empty() => line("world", world.name),
            Fit { world, problems } => {
                line("world", &format!("none; it comes next to {}, but", world.name));
                problems.iter().for_each(|problem| line("", problem));
            }
        }
        match &self.described {
            Some(Ok(Described { name, version, deterministic })) => {
                let is = if *deterministic { "deterministic" } else { "not deterministic" };
                line("filter", &format!("{name} {version}, {is}"));
            }
            Some(Err(error)) => line("filter", &format!("cannot be run: {}", error.trim_end())),
            None => {}
        }
        for (name, interfaces) in [("imports", &self.interfaces.imports), ("exports", &self.interfaces.exports)] {
            if interfaces.is_empty() {
                line(name, "nothing");
            }
            interfaces.iter().enumerate().for_each(|(index, found)| line(if index == 0 { name } else { "" }, found));
        }
        text
    }

    fn json(&self) -> Value {
        let Interfaces { imports, exports } = &self.interfaces;
        let fits = self.fit.problems.is_empty().then_some(self.fit.world.name);
        let (filter, error) = match &self.described {
            Some(Ok(Described { name, version, deterministic })) => {
                (Some(json!({ "name": name, "version": version, "deterministic": deterministic })), None)
            }
            Some(Err(error)) => (None, Some(error.trim_end())),
            None => (None, None),
        };
        json!({
            "file": self.path.display().to_string(),
            "size": self.size,
            "sha256": self.digest.to_string(),
            "world": fits,
            "problems": self.fit.problems,
            "filter": filter,
            "error": error,
            "imports": imports,
            "exports": exports,
        })
    }
}

fn describe(bytes: &[u8]) -> Result<Described, String> {
    let (module, _) = FilterHost::for_tools().load(bytes).map_err(|error| error.to_string())?;
    let tried = Trial::describe(&module, MAX_MEMORY);
    tried.outcome.as_ref().map_err(|error: &TrialError| format!("{}{}", show::failure(error), show::log(&tried)))?;
    tried.outcome.map_err(|error| error.to_string())
}
