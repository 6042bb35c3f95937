//! Real processes, and how they are joined with containers.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use nix::unistd::{Uid, User};

use super::super::super::targets::PID;
use super::super::tests::{context, services};
use super::super::{DiscoveryProcess, TargetSet};
use super::*;
use crate::component::{Component, Services};

const CONTAINERS: [&str; 2] = ["a", "b"];

fn container(index: usize) -> String {
    CONTAINERS[index].repeat(64)
}

struct Sleeping(Child);

impl Sleeping {
    /// Returns once the kernel shows the arguments: `spawn` is back while `exec` has yet to write them.
    fn start() -> Self {
        let sleeping = Self(Command::new("sleep").arg("1000").spawn().unwrap());
        let arguments = format!("/proc/{}/cmdline", sleeping.pid());
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::fs::read(&arguments).unwrap() != b"sleep\x001000\0" {
            assert!(Instant::now() < deadline, "the process never began");
            std::thread::yield_now();
        }
        sleeping
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn build(
    text: &str,
    join: &[Labels],
    services: &Services,
    previous: Option<&DiscoveryProcess>,
) -> Result<DiscoveryProcess, String> {
    let file = parse_file("test", &format!("process {{\njoin = found\n{text}\n}}")).unwrap();
    let found = TargetSet::new(join.to_vec()).value;
    let scope = Scope::stdlib(&StdlibOptions::default()).with("found", found);
    let arguments: DiscoveryProcessArguments =
        decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())?;
    DiscoveryProcess::build(&arguments, &context(services, "discovery.process.a"), previous)
        .map_err(|error| error.message)
}

fn of(component: &DiscoveryProcess, pid: &str) -> Option<Labels> {
    component.discovered.targets().into_iter().find(|target| target.value(PID) == Some(pid))
}

#[test]
fn a_process_has_the_labels_that_are_asked_for() {
    let (services, sleeping) = (services(), Sleeping::start());
    let names = |text: &str| {
        let target = of(&build(text, &[], &services, None).unwrap(), &sleeping.pid()).unwrap();
        let names: Vec<String> = target.iter().map(|(name, _)| name.to_owned()).collect();
        (target, names)
    };
    let (target, all) = names("discover_config {\ncgroup_path = true\ncontainer_id = false\n}");
    let expected = ["cgroup_path", "commandline", "cwd", "exe", "uid", "username"];
    let expected = expected.map(|name| format!("__meta_process_{name}"));
    assert_eq!(all[..6], expected);
    assert_eq!(all[6..], [PID]);
    assert_eq!(target.value("__meta_process_commandline"), Some("sleep 1000"));
    assert_eq!(target.value("__meta_process_cwd"), std::env::current_dir().unwrap().to_str());
    assert!(target.value("__meta_process_exe").unwrap().starts_with('/'));
    let user = User::from_uid(Uid::current()).unwrap().unwrap();
    assert_eq!(target.value("__meta_process_username"), Some(user.name.as_str()));
    assert_eq!(target.value("__meta_process_uid"), Some(user.uid.to_string().as_str()));
    let lines = std::fs::read_to_string(format!("/proc/{}/cgroup", sleeping.pid())).unwrap();
    assert_eq!(target.value("__meta_process_cgroup_path"), Some(lines.trim_end().replace('\n', "|").as_str()));
    let none = "exe = false\ncwd = false\ncommandline = false\nuid = false\nusername = false\ncontainer_id = false";
    assert_eq!(names(&format!("discover_config {{\n{none}\n}}")).1, [PID]);
}

#[test]
fn the_kernels_own_processes_are_none() {
    let services = services();
    let component = build("", &[], &services, None).unwrap();
    assert!(component.discovered.targets().iter().all(|target| target.value("__meta_process_exe").is_some()));
}

#[test]
fn processes_are_joined_with_their_containers() {
    let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied()).unwrap();
    let [first, second] = [0, 1].map(container);
    let pod = format!("containerd://{second}");
    let processes = [
        labels(&[(PID, "1"), ("__container_id__", &first), ("__meta_process_exe", "/bin/a")]),
        labels(&[(PID, "2"), ("__container_id__", &second)]),
        labels(&[(PID, "3")]),
        labels(&[(PID, "4"), ("__container_id__", "elsewhere")]),
    ];
    let others = [
        labels(&[("__meta_docker_container_id", &first), ("name", "old")]),
        labels(&[("__meta_docker_container_id", &first), ("name", "new"), ("__meta_process_exe", "")]),
        labels(&[("__meta_kubernetes_pod_container_id", &pod), ("pod", "p")]),
        labels(&[("__meta_kubernetes_pod_container_id", "unknown://x"), ("pod", "q")]),
        labels(&[("lol", "lol")]),
    ];
    let Found { targets, problems } = join::join(&processes, &others);
    assert!(problems.is_empty());
    let expected = [
        others[3].clone(),
        others[4].clone(),
        labels(&[(PID, "1"), ("__container_id__", &first), ("__meta_docker_container_id", &first), ("name", "new")]),
        labels(&[
            (PID, "2"),
            ("__container_id__", &second),
            ("__meta_kubernetes_pod_container_id", &pod),
            ("pod", "p"),
        ]),
        processes[2].clone(),
        processes[3].clone(),
        others[1].clone(),
        others[2].clone(),
    ];
    assert_eq!(targets, expected);
    assert_eq!(join::join(&processes, &[]).targets, processes);
}

#[test]
fn another_join_takes_the_processes_of_before() {
    let services = services();
    let before = build("", &[], &services, None).unwrap();
    let sleeping = Sleeping::start();
    let other = Labels::from_pairs([("lol", "lol")]).unwrap();
    let joined = build("", std::slice::from_ref(&other), &services, Some(&before)).unwrap();
    assert_eq!(joined.discovered.targets().len(), before.discovered.targets().len() + 1);
    assert!(of(&joined, &sleeping.pid()).is_none(), "nobody has looked again");
    let details = build("discover_config {\ncwd = false\n}", &[other], &services, Some(&joined)).unwrap();
    assert!(of(&details, &sleeping.pid()).is_some(), "what is looked for is another thing");
}

#[tokio::test]
async fn processes_come_and_go() {
    let services = services();
    let component = build("refresh_interval = \"10ms\"", &[], &services, None).unwrap();
    component.activate();
    let sleeping = Sleeping::start();
    let pid = sleeping.pid();
    let until = async |there: bool| {
        let waiting = async {
            while of(&component, &pid).is_some() != there {
                services.changes.wait().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    };
    until(true).await;
    drop(sleeping);
    until(false).await;
    component.stop().await;
}

#[test]
fn an_interval_of_nothing_is_refused() {
    let error = build("refresh_interval = \"0s\"", &[], &services(), None).err().unwrap();
    assert!(error.contains("must be longer than 0s"), "{error}");
}
