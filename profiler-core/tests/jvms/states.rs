//! What a process is told apart by, before anything is said to it.

use std::process::Command;

use profiler_core::java::{Jvm, NotAttachable};

use super::fake;
use super::program::Target;
use super::{place, records_work};

#[test]
fn what_is_no_jvm_is_told_and_unharmed() {
    let mut plain = Command::new("sh");
    let mut plain = Target::ready(plain.args(["-c", "echo ready; read line"]), "sh");
    assert!(matches!(Jvm::open(plain.pid()), Err(NotAttachable::NotJvm)));
    assert!(!plain.has_ended());
}

#[test]
fn openj9_is_refused_by_name() {
    let target = fake::start("libj9vm29.so", &["idle"]);
    let error = Jvm::open(target.pid()).unwrap_err();
    assert!(matches!(error, NotAttachable::OpenJ9));
    assert!(error.to_string().contains("OpenJ9"), "{error}");
}

#[test]
fn what_the_signal_would_end_is_not_signalled() {
    let mut target = fake::start("libjvm.so", &["idle"]);
    let error = Jvm::open(target.pid()).unwrap_err();
    assert!(matches!(error, NotAttachable::NotReady) && error.may_pass(), "{error}");
    assert!(!target.has_ended());
}

#[test]
fn a_jvm_that_does_not_handle_the_signal_listens_anyway() {
    let target = Target::run(&[], &["java", "-Xrs"]);
    assert!(records_work(&mut place(&target), "event=cpu,interval=1ms"));
}

#[test]
fn jvms_that_let_no_one_attach_are_told_and_unharmed() {
    const OPTION: &str = "-XX:+DisableAttachMechanism";
    let variable = format!("JAVA_TOOL_OPTIONS={OPTION}");
    for (through, java) in [(vec![], vec!["java", OPTION]), (vec!["env", &variable], vec!["java"])] {
        let mut target = Target::run(&through, &java);
        let error = Jvm::open(target.pid()).unwrap_err();
        assert!(matches!(error, NotAttachable::AttachDisabled) && !error.may_pass(), "{error}");
        assert!(!target.has_ended());
    }
}

#[test]
fn a_process_that_has_ended_is_gone() {
    let mut target = Target::start();
    let jvm = Jvm::open(target.pid()).unwrap();
    assert!(jvm.is_alive());
    target.end();
    assert!(!jvm.is_alive());
    for pid in [target.pid(), 0, u32::MAX] {
        assert!(matches!(Jvm::open(pid), Err(NotAttachable::Gone)), "{pid}");
    }
}
