//! JVMs of other users, in namespaces of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use profiler_core::java::{Jvm, NotAttachable, Profiler};
use rustix::process::{Gid, Uid, dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_keep_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use super::program::{Target, library};
use super::{place, records_work, tmp};

/// Its own files under /tmp, as the user that comes behind.
const OWN_TMP: &str = "mount -t tmpfs -o mode=1777 tmpfs /tmp && exec \"$@\"";
const OTHER_USER: [&str; 6] = ["setpriv", "--reuid", "1234", "--regid", "1235", "--clear-groups"];

#[test]
fn a_jvm_of_another_user_is_recorded_and_no_other_thread_changes() {
    let target = Target::run(&OTHER_USER, &["java"]);
    let before = (ids(), dumpable_behavior().unwrap());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watched = scope.spawn(|| {
            let mut changed = false;
            while !done.load(Ordering::Relaxed) {
                changed |= ids() != before.0;
            }
            changed
        });
        let mut profiler = place(&target);
        let recorded = records_work(&mut profiler, "event=cpu,interval=1ms");
        done.store(true, Ordering::Relaxed);
        assert!(recorded);
        assert!(!watched.join().unwrap());
    });
    assert_eq!((ids(), dumpable_behavior().unwrap()), before);
}

#[test]
fn a_jvm_in_a_container_is_recorded_without_entering_it() {
    let mut through = vec!["unshare", "--fork", "--pid", "--mount", "--net", "--ipc", "--mount-proc"];
    through.extend(["sh", "-c", OWN_TMP, "sh"]);
    through.extend(OTHER_USER);
    let target = Target::run(&through, &["java"]);
    let mut profiler = place(&target);
    assert!(records_work(&mut profiler, "event=cpu,interval=1ms"));
    let folder = target.file(profiler.folder());
    assert!(folder.join("libasyncProfiler.so").exists(), "{}", folder.display());
    drop(profiler);
    assert!(!folder.exists());
}

#[test]
fn a_jvm_in_a_user_namespace_is_recorded() {
    let mut through = OTHER_USER.to_vec();
    through.extend(["unshare", "--user", "--map-root-user", "--fork", "--pid", "--mount", "--mount-proc"]);
    through.extend(["sh", "-c", OWN_TMP, "sh"]);
    let target = Target::run(&through, &["java"]);
    assert!(records_work(&mut place(&target), "event=cpu,interval=1ms"));
}

#[test]
fn three_capabilities_are_enough_and_each_that_is_missing_is_named() {
    let target = Target::run(&OTHER_USER, &["java"]);
    let needed = CapabilitySet::SYS_PTRACE | CapabilitySet::SETUID | CapabilitySet::SETGID;
    for (missing, name) in [
        (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE"),
        (CapabilitySet::SETUID, "CAP_SETUID"),
        (CapabilitySet::SETGID, "CAP_SETGID"),
    ] {
        let error = with(needed - missing, || Jvm::open(target.pid()).unwrap_err());
        assert!(matches!(error, NotAttachable::NoRights { .. }), "{error}");
        assert!(error.to_string().contains(&format!("lacks {name};")), "{error}");
    }
    let recorded = with(needed, || {
        let mut profiler = Profiler::place(Jvm::open(target.pid()).unwrap(), &library(), &tmp()).unwrap();
        records_work(&mut profiler, "event=itimer,interval=1ms")
    });
    assert!(recorded);
}

#[test]
fn ones_own_jvms_need_no_capability() {
    let target = Target::run(&OTHER_USER, &["java"]);
    let recorded = thread::scope(|scope| {
        let same = scope.spawn(|| {
            become_user(1234, 1235, CapabilitySet::empty());
            records_work(&mut place(&target), "event=itimer,interval=1ms")
        });
        same.join().unwrap()
    });
    assert!(recorded);
}

/// On a thread of another user with these capabilities.
fn with<T: Send>(capabilities: CapabilitySet, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let able = scope.spawn(|| {
            become_user(5432, 5432, capabilities);
            work()
        });
        able.join().unwrap()
    })
}

fn become_user(uid: u32, gid: u32, capabilities: CapabilitySet) {
    set_keep_capabilities(true).unwrap();
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(gid, gid, gid).unwrap();
    set_thread_res_uid(uid, uid, uid).unwrap();
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: capabilities, permitted: capabilities, inheritable }).unwrap();
}

/// Those of the calling thread.
fn ids() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let told = |line: &&str| ["Uid", "Gid", "Groups", "Cap"].iter().any(|name| line.starts_with(name));
    status.lines().filter(told).collect()
}
