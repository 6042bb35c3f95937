//! `flamegate filter run`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::Edited;

use super::bounds::{Grants, MemoryLimit, timeout};
use super::{Digits, component, profile, show, tell};
use crate::filters::{Described, Rows, Tables, Trial, TrialSettings, Tried, Verdict};

/// Flags of `filter run`.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// The component
    component: PathBuf,
    /// The configuration: text, or @FILE
    #[arg(long, value_name = "TEXT|@FILE", default_value = "")]
    config: String,
    /// Labels of the series
    #[arg(long, value_name = "NAME=VALUE", num_args = 1.., value_parser = label)]
    labels: Vec<(String, String)>,
    /// Labels of the series: a JSON object; those of --labels come on top
    #[arg(long, value_name = "FILE")]
    labels_file: Option<PathBuf>,
    /// A table that the filter may look up: a JSON array of objects, and the label by which its rows are found
    #[arg(long = "table", value_name = "NAME=FILE.json:KEY", value_parser = table)]
    tables: Vec<TableFlag>,
    /// The longest that a call may take, as `timeout` of `wasm.filter`
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = timeout)]
    timeout: Duration,
    #[command(flatten)]
    memory_limit: MemoryLimit,
    #[command(flatten)]
    grants: Grants,
    /// A profile of the series, for filters that look into profiles: pprof, gzipped or not
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Where the profile is written as it is passed on
    #[arg(long, value_name = "FILE", requires = "profile")]
    out: Option<PathBuf>,
    /// How often the series is handed to the same instance
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
}

#[derive(Debug, Clone)]
struct TableFlag {
    name: String,
    file: PathBuf,
    key: String,
}

/// Succeeds where the filter gives a verdict, in each call.
pub(super) fn run(flags: &RunFlags) -> anyhow::Result<ExitCode> {
    let series =
        Series { labels: labels(flags)?, profile: flags.profile.as_deref().map(component::read_profile).transpose()? };
    let settings = TrialSettings {
        config: config(&flags.config)?,
        tables: Arc::new(tables(&flags.tables)?),
        capabilities: flags.grants.all(),
        timeout: flags.timeout,
        memory_limit: flags.memory_limit.bytes(),
    };
    let module = component::load(&flags.component)?;
    let started = Trial::start(&module, settings);
    tell(&show::log(&started));
    let (took, fuel) = (started.took, started.fuel);
    let mut trial = match started.outcome {
        Ok(trial) => trial,
        Err(error) => bail!("{}", show::failure(&error).trim_end()),
    };
    let Described { name, version, deterministic } = trial.described().clone();
    let is = if deterministic { "deterministic" } else { "not deterministic" };
    tell(&format!("{name} {version}, {is}; start and configure: {}\n\n", cost(took, fuel)));

    let mut calls = Calls::default();
    for _ in 0..flags.repeat {
        if let Some(said) = calls.add(series.call(&mut trial), &series, deterministic)? {
            tell(&said);
        }
    }
    if let (Some(out), Some(outcome)) = (&flags.out, &calls.first) {
        tell(&write(out, series.passed_on(outcome))?);
    }
    tell(&calls.summary(trial.memory_high_water()));
    Ok(ExitCode::SUCCESS)
}

/// What is handed over.
struct Series {
    labels: Labels,
    profile: Option<Bytes>,
}

/// What becomes of the series, and of its profile.
type Outcome = (Verdict, Edited);

impl Series {
    fn call(&self, trial: &mut Trial) -> Tried<Outcome> {
        match &self.profile {
            Some(profile) => trial.apply_to_profile(&self.labels, profile),
            None => trial.apply(&self.labels).map(|verdict| (verdict, Edited::Unchanged)),
        }
    }

    /// The profile that goes on, where one does.
    fn passed_on<'a>(&'a self, outcome: &'a Outcome) -> Option<&'a Bytes> {
        match outcome {
            (Verdict::Drop(_), _) | (_, Edited::Empty) => None,
            (_, Edited::Unchanged) => self.profile.as_ref(),
            (_, Edited::Changed(bytes)) => Some(bytes),
        }
    }

    fn shown(&self, (verdict, profile): &Outcome) -> String {
        let mut text = shown(verdict, &self.labels);
        if let (Some(before), Verdict::Unchanged | Verdict::Replace(_)) = (&self.profile, verdict) {
            text += &profile::difference(before, profile);
        }
        text
    }
}

/// What the calls have come to so far.
#[derive(Default)]
struct Calls {
    first: Option<Outcome>,
    times: Vec<Duration>,
    fuel: Option<u64>,
    differing: bool,
}

impl Calls {
    /// What is to be said of this call: all of the first, and of later ones only what is other.
    fn add(&mut self, tried: Tried<Outcome>, series: &Series, deterministic: bool) -> anyhow::Result<Option<String>> {
        let number = self.times.len() + 1;
        let mut said = show::log(&tried);
        let (took, fuel) = (tried.took, tried.fuel);
        let outcome = match tried.outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                tell(&said);
                let which = if number == 1 { String::new() } else { format!("call {number}: ") };
                bail!("{which}{}", show::failure(&error).trim_end());
            }
        };
        self.times.push(took);
        let Some(first) = &self.first else {
            self.fuel = fuel;
            said += &series.shown(&outcome);
            self.first = Some(outcome);
            return Ok(Some(said));
        };
        if *first == outcome || self.differing {
            return Ok(None);
        }
        self.differing = true;
        let _always = writeln!(said, "\ncall {number} answers otherwise:\n{}", series.shown(&outcome).trim_end());
        if deterministic {
            said += "although the filter says that it is deterministic: verdicts would be kept and reused\n";
        }
        Ok(Some(said))
    }

    fn summary(mut self, memory: usize) -> String {
        let first = self.times.first().copied().unwrap_or_default();
        let mut text = format!("\napply: {}; memory: {} KiB\n", cost(first, self.fuel), Digits(memory as u64 >> 10));
        self.times.sort_unstable();
        if let (Some(median), Some(slowest), 2..) =
            (self.times.get(self.times.len() / 2), self.times.last(), self.times.len())
        {
            let _always = writeln!(text, "{} calls: median {median:.1?}, slowest {slowest:.1?}", self.times.len());
        }
        text
    }
}

/// Says what is in the file now.
fn write(out: &Path, profile: Option<&Bytes>) -> anyhow::Result<String> {
    let shown = out.display();
    let Some(profile) = profile else {
        return Ok(format!("nothing is written to {shown}: no profile is passed on\n"));
    };
    std::fs::write(out, profile).with_context(|| format!("cannot write {shown}"))?;
    Ok(format!("written to {shown}: {} bytes\n", Digits(profile.len() as u64)))
}

fn shown(verdict: &Verdict, labels: &Labels) -> String {
    match verdict {
        Verdict::Unchanged => format!("{}verdict: unchanged\n", show::difference(labels, labels)),
        Verdict::Replace(after) => format!("{}verdict: changed\n", show::difference(labels, after)),
        Verdict::Drop(reason) => format!("{}verdict: drop, {reason:?}\n", show::difference(labels, &Labels::empty())),
    }
}

/// Code that counts its fuel is somewhat slower than what the server runs.
fn cost(took: Duration, fuel: Option<u64>) -> String {
    let fuel = fuel.map(|fuel| format!(", {} instructions", Digits(fuel))).unwrap_or_default();
    format!("{took:.1?}{fuel}")
}

fn config(flag: &str) -> anyhow::Result<String> {
    match flag.strip_prefix('@') {
        Some(path) => component::read_text(Path::new(path)),
        None => Ok(flag.to_owned()),
    }
}

fn labels(flags: &RunFlags) -> anyhow::Result<Labels> {
    let mut pairs = match &flags.labels_file {
        Some(path) => serde_json::from_str::<BTreeMap<String, String>>(&component::read_text(path)?)
            .with_context(|| format!("{} is no JSON object of labels", path.display()))?,
        None => BTreeMap::new(),
    };
    pairs.extend(flags.labels.iter().cloned());
    Labels::from_pairs(pairs).context("the labels are no label set")
}

fn tables(flags: &[TableFlag]) -> anyhow::Result<Tables> {
    let mut tables = Tables::default();
    for TableFlag { name, file, key } in flags {
        let rows: Vec<BTreeMap<String, String>> = serde_json::from_str(&component::read_text(file)?)
            .with_context(|| format!("{} is no JSON array of objects, one for each row", file.display()))?;
        let rows = rows.into_iter().map(Labels::from_pairs).collect::<Result<_, _>>();
        let rows = rows.with_context(|| format!("a row of {} is no label set", file.display()))?;
        tables.add(name, key, Rows::new(rows)?)?;
    }
    Ok(tables)
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn table(text: &str) -> Result<TableFlag, String> {
    let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.rsplit_once(':')?)));
    match parts {
        Some((name, (file, key))) if !name.is_empty() && !file.is_empty() && !key.is_empty() => {
            Ok(TableFlag { name: name.to_owned(), file: file.into(), key: key.to_owned() })
        }
        _ => Err("write it as NAME=FILE.json:KEY, such as pods=pods.json:pod".to_owned()),
    }
}
