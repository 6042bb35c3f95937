//! Targets that would rather do something else than be profiled.

use std::fs;
use std::path::Path;
use std::thread;

use profiler_core::java::ProfilerError;

use super::program::{Target, open_folder};
use super::{MINUTE, fake, place};

const SECRET: &str = "a secret of the host";

fn secret() -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = open_folder().join("secret");
    fs::write(&path, SECRET).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn recordings_and_logs_that_lead_elsewhere_are_not_followed() {
    let secret = secret();
    for mode in ["linked", "fifo"] {
        let target = fake::start("libjvm.so", &[mode, secret.to_str().unwrap()]);
        let mut profiler = place(&target);
        profiler.start("event=cpu", MINUTE).unwrap();
        let error = profiler.stop().unwrap_err();
        assert!(error.to_string().contains("empty"), "{mode}: {error}");
        let folder = profiler.folder().to_owned();
        drop(profiler);
        assert!(!Path::new(&folder).exists(), "{mode}");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
}

#[test]
fn a_recording_without_end_is_refused() {
    let target = fake::start("libjvm.so", &["sparse"]);
    let mut profiler = place(&target);
    profiler.start("event=cpu", MINUTE).unwrap();
    let error = profiler.stop().unwrap_err();
    assert!(matches!(&error, ProfilerError::Recording { problem } if problem.contains("more than")), "{error}");
}

#[test]
fn answers_that_are_none_come_to_an_end() {
    let nowhere = open_folder().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    thread::scope(|scope| {
        for (mode, reason) in [
            ("endless", "strange_answer"),
            ("nonsense", "strange_answer"),
            ("dripping", "no_answer"),
            ("silent", "no_answer"),
            ("deaf", "no_listener"),
            ("elsewhere", "no_listener"),
            ("trapped", "no_socket"),
        ] {
            scope.spawn(move || {
                let mut target = fake::start("libjvm.so", &[mode, nowhere]);
                let error = place(&target).start("event=cpu", MINUTE).unwrap_err();
                assert_eq!(error.reason(), reason, "{mode}: {error}");
                assert!(!target.has_ended(), "{mode}");
            });
        }
    });
    assert!(!Path::new(nowhere).exists());
}

#[test]
fn a_process_that_got_the_pid_of_another_is_not_spoken_to() {
    let mut old = Target::start();
    let mut profiler = place(&old);
    let pid = old.pid();
    old.end();
    let new = (0..100).find_map(|_| {
        // The next process gets the number behind it, unless another one comes first.
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let new = Target::start();
        (new.pid() == pid).then_some(new)
    });
    let new = new.unwrap_or_else(|| panic!("no process got the number {pid}"));
    let error = profiler.start("event=cpu", MINUTE).unwrap_err();
    assert_eq!(error.reason(), "gone", "{error}");
    assert!(!new.file(&format!("/tmp/.java_pid{pid}")).exists());
}
