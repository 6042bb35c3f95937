//! `flamegate convert`: a recording of Java as a profile, for a person with `go tool pprof` or a flame graph's page.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use profiler_core::jfr::{self, Converted, Kind, Options};
use profiler_core::pprof::{Packing, is_gzip};

use super::fail;
use super::output::{complain, create, write};

/// Flags of `convert`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --kind the profile has the sample types of all kinds that were recorded, the CPU's first: \
    `go tool pprof -sample_index=wall x.pb.gz` shows another one."
)]
pub struct ConvertFlags {
    /// A recording of async-profiler or of the JDK, uncompressed; `-` for standard input
    file: PathBuf,
    /// Writes the profile there, as gzipped pprof; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Takes this kind alone; may be given several times
    #[arg(long, value_parser = kind_parser())]
    kind: Vec<Kind>,
    /// Tells threads apart, by the label `thread`
    #[arg(long)]
    threads: bool,
}

/// Converts.
pub(super) fn run(flags: &ConvertFlags) -> ExitCode {
    match convert(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&format!("{}: {message}\n", flags.file.display())),
    }
}

fn kind_parser() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name))
        .try_map(|name| Kind::of_name(&name).ok_or_else(|| format!("{name} is no kind")))
}

fn convert(flags: &ConvertFlags) -> Result<(), String> {
    let to_stdout = flags.output.as_os_str() == "-";
    if to_stdout && std::io::stdout().is_terminal() {
        return Err("a profile is nothing that a terminal could show; name a file for it with -o".to_owned());
    }
    let recording = open(flags).map_err(|error| format!("cannot be read: {error}"))?;
    let options = Options { threads: flags.threads, dotted_names: true, ..Options::default() };
    let converted = jfr::convert(&recording, &options).map_err(|error| match is_compressed(&recording) {
        true => "it is compressed; `gunzip` it first".to_owned(),
        false => error.to_string(),
    })?;
    let recorded = converted.kinds();
    if let Some(kind) = flags.kind.iter().find(|kind| !recorded.contains(kind)) {
        return Err(format!("it holds no samples of {}, but of {}", kind.name(), names(&recorded)));
    }
    let is_wanted = |kind: &Kind| flags.kind.is_empty() || flags.kind.contains(kind);
    let kinds: Vec<Kind> = recorded.into_iter().filter(is_wanted).collect();
    if kinds.is_empty() {
        return Err("it holds no samples of any kind that could be shown".to_owned());
    }
    let unwritten = |error| format!("no profile of it can be written: {error}");
    let profile = converted.pprof(&kinds, Packing::Gzip).map_err(unwritten)?;
    if to_stdout {
        std::io::stdout().write_all(&profile).map_err(unwritten)?;
    } else {
        let (path, file) = create(&flags.output)?;
        write(path, file, |file| file.write_all(&profile))?;
    }
    complain(&summary(&converted, &kinds));
    match converted.broken {
        Some(error) => Err(format!("{error}; the profile holds what was recorded before")),
        None => Ok(()),
    }
}

/// The recording as a file that any part can be read of.
fn open(flags: &ConvertFlags) -> std::io::Result<File> {
    if flags.file.as_os_str() != "-" {
        return File::open(&flags.file);
    }
    let mut file = tempfile::tempfile()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file)?;
    Ok(file)
}

fn is_compressed(recording: &File) -> bool {
    let mut magic = [0; 2];
    jfr::Recording::read_at(recording, &mut magic, 0).is_ok_and(|read| is_gzip(magic.get(..read).unwrap_or_default()))
}

fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

fn summary(converted: &Converted, kinds: &[Kind]) -> String {
    let events: u64 = converted.counts.events.values().sum();
    let seconds = converted.duration_nanos as f64 / 1e9;
    let lost = converted.counts.without_stack;
    let lost = if lost > 0 { format!(", {lost} of them without a stack") } else { String::new() };
    format!("{events} samples in {seconds:.1} s{lost}: {}\n", names(kinds))
}
