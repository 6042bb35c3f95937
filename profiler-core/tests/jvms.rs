//! async-profiler in real JVMs, and in processes that only look like some. Needs root, JVMs, and the library.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

mod jvms {
    pub(crate) mod fake;
    mod hostile;
    mod places;
    pub(crate) mod program;
    mod states;
    mod users;

    pub(crate) use super::{MINUTE, place, records_work, tmp};
    pub(crate) use places::is_recorded;
}

use std::fs;
use std::io::Read;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use jvms::is_recorded;
use jvms::program::{Target, compile, library, open_folder, run, tools, versions};
use profiler_core::java::{End, Fault, Jvm, Library, Profiler, ProfilerError, Recording, TmpDir};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn jvms_of_each_version_are_recorded_again_and_again() {
    for java in versions() {
        let target = Target::run(&[], &[java.to_str().unwrap()]);
        let mut profiler = place(&target);
        for options in
            ["event=cpu,interval=1ms", "event=wall,interval=2ms", "event=itimer,interval=1ms,alloc=1k,lock=1us"]
        {
            assert!(records_work(&mut profiler, options), "{}: {options}", java.display());
        }
    }
}

#[test]
fn what_the_agent_refuses_is_told_in_its_words() {
    let target = Target::start();
    let mut profiler = place(&target);
    for (options, told) in [("event=nonsense", "Unsupported event type"), ("event=cpu,interval=-1", "nterval")] {
        let error = profiler.start(options, MINUTE).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(error.fault(), Fault::Arguments);
        assert!(!profiler.is_recording());
    }
    let error = profiler.start(&"x".repeat(1000), MINUTE).unwrap_err();
    assert!(matches!(error, ProfilerError::Options { .. }), "{error}");
    assert!(records_work(&mut profiler, "event=cpu,interval=1ms"));
}

#[test]
fn a_recording_ends_by_itself_after_its_time() {
    let target = Target::start();
    let mut profiler = place(&target);
    profiler.start("event=cpu,interval=1ms", Duration::from_secs(1)).unwrap();
    let deadline = Instant::now() + MINUTE;
    while is_recorded(&target) {
        assert!(Instant::now() < deadline, "it goes on");
        thread::sleep(Duration::from_millis(20));
    }
    let recording = profiler.stop().unwrap().unwrap();
    assert_eq!(recording.end(), End::Before);
    assert!(holds_work(recording));
    assert!(profiler.stop().unwrap().is_none());
}

#[test]
fn what_a_jvm_recorded_before_it_ended_is_kept() {
    for in_order in [true, false] {
        let mut target = Target::start();
        let mut profiler = place(&target);
        assert!(records_work(&mut profiler, "event=cpu,interval=1ms"));
        profiler.start("event=cpu,interval=1ms", MINUTE).unwrap();
        thread::sleep(Duration::from_millis(200));
        if in_order {
            target.end()
        } else {
            target.kill()
        }
        let recording = profiler.stop().unwrap().unwrap();
        assert_eq!(recording.end(), End::WithTarget);
        assert_eq!(holds_work(recording), in_order);
        assert_eq!(profiler.start("event=cpu", MINUTE).unwrap_err().reason(), "gone");
        let folder = profiler.folder().to_owned();
        drop(profiler);
        assert!(!fs::exists(folder).unwrap());
    }
}

#[test]
fn another_profiler_goes_on() {
    let folder = tempfile::tempdir_in(open_folder()).unwrap();
    let copy = folder.path().join("libasyncProfiler-other.so");
    fs::copy(tools().join("async-profiler").join(platform()).join("libasyncProfiler.so"), &copy).unwrap();
    let recording = folder.path().join("other.jfr");
    let agent =
        format!("-agentpath:{}=start,event=cpu,interval=1ms,quiet,jfr,file={}", copy.display(), recording.display());
    let mut target = Target::run(&[], &["java", &agent]);
    let mut profiler = place(&target);
    let error = profiler.start("event=cpu", MINUTE).unwrap_err();
    assert!(matches!(error, ProfilerError::AlreadyRunning { .. }) && error.may_pass(), "{error}");
    assert!(error.to_string().contains("is running for"), "{error}");
    drop(profiler);
    // The other one writes its recording when the JVM ends.
    target.end();
    assert!(fs::read(&recording).unwrap().windows(8).any(|window| window == b"burnHere"));
}

#[test]
fn the_library_is_found_in_each_form_and_nothing_else_is_taken_for_it() {
    let folder = tools().join("async-profiler");
    let jar = tempfile::tempdir().unwrap();
    fs::copy(folder.join("async-profiler-4.6.jar"), jar.path().join("async-profiler.jar")).unwrap();
    let unpacked = folder.join(platform());
    for path in [
        folder.clone(),
        jar.path().to_owned(),
        folder.join("async-profiler-4.6.jar"),
        unpacked.join("libasyncProfiler.so"),
        unpacked,
    ] {
        Library::find(Some(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let foreign = if platform() == "linux-x64" { "linux-arm64" } else { "linux-x64" };
    for (path, told) in [
        (folder.join(foreign), "this machine is"),
        (std::env::current_exe().unwrap(), "no agent"),
        (folder.join("NOTICE"), "no ELF file"),
        (folder.join("absent"), "No such file"),
        (std::env::temp_dir(), "neither"),
    ] {
        let error = Library::find(Some(&path)).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn the_environment_names_the_library() {
    let found = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "finds_the_library", "--ignored", "--nocapture"])
        .env("FLAMEGATE_ASYNC_PROFILER", tools().join("async-profiler"))
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let expected = tools().join("async-profiler").join(platform()).join("libasyncProfiler.so");
    assert!(found.contains(expected.to_str().unwrap()), "{found}");
}

#[test]
#[ignore = "another test runs it in a process of its own"]
#[allow(clippy::print_stdout, reason = "the other test reads it")]
fn finds_the_library() {
    println!("{}", Library::find(None).unwrap().source());
}

#[test]
fn a_program_of_musl_loads_the_library() {
    let program = compile("musl-gcc", "musl.c", "musl", &[]);
    let library = tools().join("async-profiler").join(platform()).join("libasyncProfiler.so");
    let recording = open_folder().join("musl.jfr");
    run(Command::new(program).arg(library).arg(&recording));
    assert!(fs::read(recording).unwrap().starts_with(b"FLR\0"));
}

fn platform() -> &'static str {
    if cfg!(target_arch = "x86_64") { "linux-x64" } else { "linux-arm64" }
}

pub(crate) fn place(target: &Target) -> Profiler {
    Profiler::place(Jvm::open(target.pid()).unwrap(), &library(), &tmp()).unwrap()
}

pub(crate) fn tmp() -> TmpDir {
    TmpDir::parse("/tmp").unwrap()
}

/// Records until the program's own method is in what was recorded.
pub(crate) fn records_work(profiler: &mut Profiler, options: &str) -> bool {
    let deadline = Instant::now() + MINUTE;
    while Instant::now() < deadline {
        profiler.start(options, MINUTE).unwrap();
        thread::sleep(Duration::from_millis(100));
        let recording = profiler.stop().unwrap().unwrap();
        assert_eq!(recording.end(), End::Stopped);
        if holds_work(recording) {
            return true;
        }
    }
    false
}

fn holds_work(recording: Recording) -> bool {
    bytes(recording).windows(8).any(|window| window == b"burnHere")
}

fn bytes(recording: Recording) -> Vec<u8> {
    let (size, mut bytes) = (recording.size(), Vec::new());
    recording.into_file().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, size);
    assert!(bytes.starts_with(b"FLR\0"));
    bytes
}
