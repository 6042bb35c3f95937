//! Where the library goes, and what is left of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use profiler_core::java::{Jvm, Profiler, ProfilerError, TmpDir, clean_leftovers};

use super::program::{Target, library, run};
use super::{MINUTE, place, records_work, tmp};

/// In a mount namespace of its own, with this done to its /tmp.
fn with_tmp(mount: &str, options: &[&str]) -> Target {
    let script = format!("{mount} && exec \"$@\"");
    let java: Vec<&str> = ["java"].iter().chain(options).copied().collect();
    Target::run(&["unshare", "--fork", "--mount", "sh", "-c", &script, "sh"], &java)
}

#[test]
fn where_code_cannot_run_or_space_is_short_another_folder_is_taken() {
    for options in ["noexec,mode=1777", "size=64k,mode=1777"] {
        let target = with_tmp(&format!("mount -t tmpfs -o {options} tmpfs /tmp"), &[]);
        let mut profiler = place(&target);
        assert!(profiler.folder().starts_with("/var/tmp/"), "{options}: {}", profiler.folder());
        assert!(records_work(&mut profiler, "event=cpu,interval=1ms"), "{options}");
    }
}

#[test]
fn a_folder_that_all_of_a_container_may_write_is_good_enough() {
    let target = with_tmp("mount -t tmpfs -o mode=0777 tmpfs /tmp", &[]);
    let profiler = place(&target);
    assert!(profiler.folder().starts_with("/tmp/"), "{}", profiler.folder());
}

#[test]
fn where_tmp_is_read_only_a_jvm_that_listens_is_recorded_and_another_is_told() {
    let target =
        with_tmp("mount -t tmpfs -o mode=1777 tmpfs /tmp", &["-XX:+StartAttachListener", "-XX:+PerfDisableSharedMem"]);
    let pid = target.pid().to_string();
    run(Command::new("nsenter").args(["--mount", "--target", &pid, "mount", "-o", "remount,ro", "/tmp"]));
    let mut profiler = place(&target);
    assert!(profiler.folder().starts_with("/var/tmp/"), "{}", profiler.folder());
    assert!(records_work(&mut profiler, "event=cpu,interval=1ms"));

    let target = with_tmp("mount -t tmpfs -o ro tmpfs /tmp", &[]);
    let error = place(&target).start("event=cpu", MINUTE).unwrap_err();
    assert!(matches!(error, ProfilerError::NoSocket { .. }) && !error.may_pass(), "{error}");
}

#[test]
fn what_strangers_have_put_in_the_place_is_left_alone() {
    let target = Target::start();
    let taken = place(&target).folder().to_owned();
    let taken = Path::new(&taken);
    // A stranger's, and one that strangers may write, and a link to one that would do.
    for (owner, mode) in [(4321, 0o755), (0, 0o777)] {
        fs::create_dir(taken).unwrap();
        chown(taken, Some(owner), Some(0)).unwrap();
        fs::set_permissions(taken, fs::Permissions::from_mode(mode)).unwrap();
        assert!(place(&target).folder().starts_with("/var/tmp/"), "{owner} {mode:o}");
        assert_eq!(fs::read_dir(taken).unwrap().count(), 0);
        fs::remove_dir(taken).unwrap();
    }
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), taken).unwrap();
    assert!(place(&target).folder().starts_with("/var/tmp/"));
    assert!(fs::symlink_metadata(taken).unwrap().is_symlink());
    fs::remove_file(taken).unwrap();
    // A folder in which strangers could put another one in the place, and a way that leads through a link.
    let open = tempfile::tempdir().unwrap();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let linked = elsewhere.path().join("link");
    symlink("/var/tmp", &linked).unwrap();
    for tmp_dir in [open.path(), &linked] {
        let tmp_dir = TmpDir::parse(tmp_dir.to_str().unwrap()).unwrap();
        let profiler = Profiler::place(Jvm::open(target.pid()).unwrap(), &library(), &tmp_dir).unwrap();
        assert!(profiler.folder().starts_with("/tmp/flamegate-"), "{}", profiler.folder());
    }
}

#[test]
fn a_jvm_has_one_profiler() {
    let target = Target::start();
    let first = place(&target);
    let second = Profiler::place(Jvm::open(target.pid()).unwrap(), &library(), &tmp());
    assert!(matches!(second, Err(ProfilerError::Busy { .. })), "{second:?}");
    drop(first);
    place(&target);
}

#[test]
fn what_a_killed_process_leaves_is_cleaned_up_and_its_recording_stopped() {
    let target = Target::start();
    let mut killed = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jvms::places::records_until_it_is_killed", "--ignored", "--nocapture"])
        .env("FLAMEGATE_TEST_JVM", target.pid().to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let folder = place_of(&target);
    let deadline = Instant::now() + MINUTE;
    let recording = Path::new(&folder).join("recording.jfr");
    while !is_recorded(&target) || recording.exists() {
        assert!(Instant::now() < deadline, "nothing was recorded");
        assert!(killed.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(10));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(Path::new(&folder).exists());
    let living = Target::start();
    let living = place(&living);
    assert!(clean_leftovers(&tmp()) >= 1);
    assert!(!Path::new(&folder).exists());
    assert!(Path::new(living.folder()).exists());
    // It is still recorded, for a minute.
    assert!(is_recorded(&target));
    assert!(records_work(&mut place(&target), "event=cpu,interval=1ms"));
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn records_until_it_is_killed() {
    let pid = std::env::var("FLAMEGATE_TEST_JVM").unwrap().parse().unwrap();
    let mut profiler = Profiler::place(Jvm::open(pid).unwrap(), &library(), &tmp()).unwrap();
    profiler.start("event=cpu", MINUTE).unwrap();
    thread::sleep(MINUTE);
}

/// Whether a recording is open in the process.
pub(crate) fn is_recorded(target: &Target) -> bool {
    let files = fs::read_dir(format!("/proc/{}/fd", target.pid())).unwrap();
    let mut links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    links.any(|link| link.to_string_lossy().contains("recording.jfr"))
}

/// The folder that a profiler has, or would have.
fn place_of(target: &Target) -> String {
    let digest = {
        let other = Target::start();
        let placed = place(&other);
        let folder = placed.folder().to_owned();
        folder.rsplit_once('-').unwrap().0.to_owned()
    };
    format!("{digest}-{}", target.pid())
}
