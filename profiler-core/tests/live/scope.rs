//! Whose processes are sampled.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use profiler_core::sampler::{Choice, Scope};

use crate::live::names::Names;
use crate::live::program::Target;
use crate::{assert_complete, settled, start, wait_for};

#[test]
fn processes_can_be_exchanged() {
    let (first, second) = (Target::start(&[]), Target::start(&[]));
    let sampler = start(Scope::Pids(vec![first.pid()]));
    let _ = settled(&sampler, first.pid());
    sampler.set_pids([second.pid()]);
    let stacks = settled(&sampler, second.pid());
    assert_complete(&stacks, &Names::of(&sampler));
    // What was left of the first was collected while the second settled.
    let _ = settled(&sampler, second.pid());
    wait_for(|| sampler.statistics().processes == 1);
    assert!(sampler.collect().iter().all(|trace| trace.pid == second.pid()));
}

#[test]
fn processes_are_sampled_by_choice() {
    let (first, second) = (Target::start(&[]), Target::start(&[]));
    let chosen = Arc::new(AtomicU32::new(first.pid()));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (choice, asks) = (Arc::clone(&chosen), Arc::clone(&asked));
    let sampler = start(Scope::Chosen(Choice::new(move |pid| {
        asks.lock().unwrap().push(pid);
        pid == choice.load(Ordering::Relaxed)
    })));
    let stacks = settled(&sampler, first.pid());
    assert_complete(&stacks, &Names::of(&sampler));
    assert!(sampler.collect().iter().all(|trace| trace.pid == first.pid()));
    let asked_of = |pid| asked.lock().unwrap().iter().filter(|asked| **asked == pid).count();
    wait_for(|| asked_of(second.pid()) > 0);
    let before = (asked_of(first.pid()), asked_of(second.pid()));
    let _ = settled(&sampler, first.pid());
    assert_eq!((asked_of(first.pid()), asked_of(second.pid())), before, "what is decided was asked again");

    chosen.store(second.pid(), Ordering::Relaxed);
    sampler.reconsider();
    let stacks = settled(&sampler, second.pid());
    assert_complete(&stacks, &Names::of(&sampler));
    let _ = settled(&sampler, second.pid());
    assert!(sampler.collect().iter().all(|trace| trace.pid == second.pid()));
}

#[test]
fn a_program_that_becomes_another_is_chosen_anew() {
    let mut target = Target::start_through_exec();
    let is_target =
        |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path.ends_with("live-target"));
    let pid = target.pid();
    let sampler = start(Scope::Chosen(Choice::new(move |asked| asked == pid && is_target(asked))));
    target.let_go();
    assert_complete(&settled(&sampler, pid), &Names::of(&sampler));
}

#[test]
fn what_runs_in_a_cgroup_or_below_is_sampled() {
    let (first, second) = (Target::start(&[]), Target::start(&[]));
    let (outer, other) = (Cgroup::new("outer"), Cgroup::new("other"));
    let inner = Cgroup::at(&outer.0.join("inner"));
    inner.take_in(first.pid());
    other.take_in(second.pid());
    let sampler = start(Scope::Cgroups(vec![outer.number()]));
    assert_complete(&settled(&sampler, first.pid()), &Names::of(&sampler));
    assert!(sampler.collect().iter().all(|trace| trace.pid == first.pid()));

    sampler.set_cgroups([other.number()]).unwrap();
    assert_complete(&settled(&sampler, second.pid()), &Names::of(&sampler));
    let _ = settled(&sampler, second.pid());
    assert!(sampler.collect().iter().all(|trace| trace.pid == second.pid()));
    wait_for(|| sampler.statistics().processes == 1);
    // They must be gone before their cgroups can be.
    drop((first, second));
}

#[test]
fn in_a_pid_namespace_its_own_pids_count() {
    let same = [
        "a_process_that_comes_later_is_found",
        "a_process_that_ends_is_forgotten",
        "without_frame_pointers_through_libc_and_recursion_stacks_reach_the_root",
    ];
    let _outside = Target::start(&[]);
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .arg("--exact")
        .args(same)
        .output()
        .unwrap_or_else(|error| panic!("this test needs unshare of util-linux: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("3 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// A folder of the cgroup v2 that is mounted.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let root = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let folder = fields.next()?;
            (fields.next()? == "cgroup2").then_some(folder)
        });
        let root = root.unwrap_or_else(|| panic!("this test needs a cgroup v2 that is mounted"));
        Self::at(&Path::new(root).join(format!("flamegate-test-{}-{name}", std::process::id())))
    }

    fn at(folder: &Path) -> Self {
        fs::create_dir(folder).unwrap();
        Self(folder.to_owned())
    }

    fn number(&self) -> u64 {
        fs::metadata(&self.0).unwrap().ino()
    }

    fn take_in(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
