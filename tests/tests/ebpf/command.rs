//! `flamegate profile`.

use std::path::Path;
use std::time::Duration;

use flamegate_tests::flamegate::{Ended, Flamegate};
use flamegate_tests::polling::eventually;
use flamegate_tests::pprof;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::SYMBOLS;
use super::program::Program;

async fn profile(folder: &Path, arguments: &[&str]) -> Ended {
    let symbols = ["profile", "--symbols", SYMBOLS];
    Flamegate::command(folder, &[&symbols, arguments].concat(), "").await.unwrap()
}

#[tokio::test]
async fn a_profile_and_a_flame_graph_are_written() {
    let (program, folder) = (Program::start(), tempfile::tempdir().unwrap());
    let pid = program.pid().to_string();
    let files = ["-o", "out.pb.gz", "--svg", "out.svg"];
    let ended =
        profile(folder.path(), &[&["--pid", &pid, "--seconds", "2", "--rate", "199"], &files[..]].concat()).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.contains(" samples in 2."), "{ended:?}");
    let bytes = std::fs::read(folder.path().join("out.pb.gz")).unwrap();
    let profile = pprof::decode(&bytes, 64 << 20).unwrap();
    assert_eq!(profile.period, 1_000_000_000 / 199);
    let by_function = program.by_function(&profile);
    assert!(by_function["burn_heavy"] > 0, "{by_function:?}");
    let svg = std::fs::read_to_string(folder.path().join("out.svg")).unwrap();
    assert!(svg.contains("burn_heavy ("), "{svg}");
    assert!(svg.contains(&format!("CPU time at 199 Hz, process {pid}")), "{svg}");
}

#[tokio::test]
async fn without_a_file_the_hottest_functions_are_shown() {
    let program = Program::start();
    let pid = program.pid().to_string();
    let ended = profile(Path::new("/"), &["--pid", &pid, "--seconds", "1"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut lines = ended.stdout.lines();
    assert_eq!(lines.next(), Some("   SELF   TOTAL  FUNCTION"), "{ended:?}");
    assert!(lines.next().unwrap().ends_with(" burn_heavy"), "{ended:?}");
}

#[tokio::test]
async fn time_off_the_cpu_is_shown_instead() {
    let (program, folder) = (Program::start(), tempfile::tempdir().unwrap());
    let pid = program.pid().to_string();
    let ended = profile(folder.path(), &["--pid", &pid, "--seconds", "1", "--off-cpu", "-o", "out.pb.gz"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let profile = pprof::decode(&std::fs::read(folder.path().join("out.pb.gz")).unwrap(), 64 << 20).unwrap();
    assert_eq!(pprof::sample_type_names(&profile), ["offcpu:nanoseconds"]);
    assert!(pprof::sampled_functions(&profile).contains("nap"), "{profile:?}");
}

/// Told to stop, it writes what it has; and where the process ends, it waits for no other.
#[tokio::test]
async fn it_ends_early_and_still_writes() {
    for by_signal in [true, false] {
        let (program, folder) = (Program::start(), tempfile::tempdir().unwrap());
        let (pid, out) = (program.pid().to_string(), folder.path().join("out.pb.gz"));
        let arguments = ["--pid", &pid, "--seconds", "3600", "-o", out.to_str().unwrap()];
        let sampled = async {
            let sampler = eventually("a sampler", async || sampler_that_writes(&out)).await.unwrap();
            let until = program.cpu_time() + Duration::from_millis(300);
            eventually("the program runs", async || (program.cpu_time() >= until).then_some(())).await.unwrap();
            if by_signal {
                kill(sampler, Signal::SIGINT).unwrap();
                Some(program)
            } else {
                None
            }
        };
        let (ended, _program) = tokio::join!(profile(folder.path(), &arguments), sampled);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let profile = pprof::decode(&std::fs::read(&out).unwrap(), 64 << 20).unwrap();
        assert!(!profile.sample.is_empty(), "{ended:?}");
    }
}

/// The process that has the file open, as soon as it samples.
fn sampler_that_writes(file: &Path) -> Option<Pid> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let found = processes.map(|entry| entry.path()).find(|process| {
        let open = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        open.into_iter().any(|link| std::fs::read_link(link.path()).is_ok_and(|target| target == file))
    })?;
    let mut threads = std::fs::read_dir(found.join("task")).ok()?.flatten();
    let name = |thread: &std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
    threads.find(|thread| name(thread).trim() == "sampler")?;
    found.file_name()?.to_str()?.parse().ok().map(Pid::from_raw)
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_one_line() {
    for (arguments, says) in [
        (&["--pid", "4194305"][..], "the process 4194305 cannot be sampled: "),
        (&["--all", "--rate", "0"], "a sample rate of 0: it must be 1 to 10000\n"),
        (&["--all", "-o", "/nowhere/x"], "/nowhere/x cannot be written: "),
    ] {
        let ended = profile(Path::new("/"), arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.lines().count()), (Some(1), "", 1), "{ended:?}");
        assert!(ended.stderr.starts_with(says), "{ended:?}");
    }
    let nothing = profile(Path::new("/"), &[]).await;
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
}
