//! `cargo xtask bench …`: builds what is measured as it is shipped, then hands the arguments to `flamegate-bench`.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::guests::{LANGUAGES, Language, build_examples};
use crate::{debian, java, steps};

/// Runs the benchmark that `args` name, with the rest of `args` as its flags.
///
/// Before a load, installs Debian's nginx when it is to be measured and is missing, which takes root.
pub(crate) fn run(root: &Path, args: &[String]) -> anyhow::Result<()> {
    if let Some((benchmark, flags)) = args.split_first()
        && benchmark == "guests"
    {
        return guests(root, &LANGUAGES, flags);
    }
    if args
        .first()
        .is_some_and(|benchmark| ["neighbours", "ui", "flame", "ebpf", "java", "scrape"].contains(&benchmark.as_str()))
    {
        build_flamegate(root)?;
    }
    if args.first().is_some_and(|benchmark| ["java", "jfr"].contains(&benchmark.as_str())) {
        debian::provide_java()?;
        java::fetch_profiler(&java::profiler_folder(root))?;
    }
    if args.first().is_some_and(|benchmark| benchmark == "runtimes") {
        debian::provide_compilers()?;
        debian::provide_java()?;
    }
    if let Some((benchmark, flags)) = args.split_first()
        && benchmark == "load"
    {
        if is_measured(flags, "flamegate") || is_of_flamegate_alone(flags) {
            build_flamegate(root)?;
        }
        if is_measured(flags, "nginx") && !is_of_flamegate_alone(flags) {
            provide_nginx()?;
        }
    }
    // Cargo puts both binaries into one folder, where the benchmark looks for Flamegate's.
    cargo(root, &["run", "--release", "--package", "flamegate-bench", "--"], args)
}

/// Builds the example filters in these languages, calls each so often as the flags say, and prints what a call costs.
///
/// # Errors
/// One does not build, fails in a call, or takes more memory from call to call.
pub(crate) fn guests(root: &Path, languages: &[Language], flags: &[String]) -> anyhow::Result<()> {
    let folder = build_examples(root, languages)?;
    let components = languages.iter().map(|language| folder.join(language.name()).with_extension("wasm"));
    let components = components.map(|path| path.display().to_string());
    let arguments: Vec<String> =
        ["guests".to_owned()].into_iter().chain(flags.iter().cloned()).chain(components).collect();
    cargo(root, &["run", "--release", "--package", "flamegate-bench", "--"], &arguments)
}

/// Whether the flags of a load leave `program` in, set up in whatever way: all are measured where `--only` names none.
fn is_measured(flags: &[String], program: &str) -> bool {
    if flags.iter().any(|flag| flag == "--help" || flag == "-h") {
        return false;
    }
    let after = flags.iter().zip(flags.iter().skip(1));
    let apart = after.filter(|(flag, _)| *flag == "--only").map(|(_, names)| names.as_str());
    let joined = flags.iter().filter_map(|flag| flag.strip_prefix("--only="));
    let only: Vec<&str> = apart.chain(joined).flat_map(|names| names.split(',')).collect();
    let is_meant = |name: &&str| name.strip_prefix(program).is_some_and(|way| way.is_empty() || way.starts_with('-'));
    only.is_empty() || only.iter().any(is_meant)
}

/// Built alone, so that no feature which another package asks for changes what is measured.
fn build_flamegate(root: &Path) -> anyhow::Result<()> {
    cargo(root, &["build", "--release", "--package", "flamegate"], &[])
}

/// Whether Flamegate is measured with rows of filters or with a queue, and no other program but those that are named.
fn is_of_flamegate_alone(flags: &[String]) -> bool {
    flags.iter().any(|flag| flag == "--queue" || flag == "--filters" || flag.starts_with("--filters="))
}

fn provide_nginx() -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    if folders.any(|folder| folder.join("nginx").is_file()) {
        return Ok(());
    }
    debian::install(&["nginx"]).context("without nginx, leave it out with --only bare,flamegate")?;
    // The package starts a server on port 80 that nobody has asked for.
    if Path::new("/run/systemd/system").is_dir() {
        steps::run(Command::new("systemctl").args(["disable", "--now", "nginx"]))?;
    }
    Ok(())
}

fn cargo(root: &Path, args: &[&str], more: &[String]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    steps::run(Command::new(cargo).current_dir(root).args(args).args(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leaves_programs_out() {
        let cases: [(&[&str], bool); 8] = [
            (&[], true),
            (&["--rounds", "1"], true),
            (&["--only", "bare,nginx"], true),
            (&["--only=bare", "--only=nginx"], true),
            (&["--only=flamegate-tls,nginx-tls"], true),
            (&["--only", "bare"], false),
            (&["--only=nginxes"], false),
            (&["--help"], false),
        ];
        for (flags, measured) in cases {
            let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
            assert_eq!(is_measured(&flags, "nginx"), measured, "{flags:?}");
        }
    }
}
