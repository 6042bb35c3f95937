//! Which container a process runs in.

use std::fs::File;
use std::io::{self, Read};

/// The longest that is read of a process' cgroups, and of its mounts where those do not tell.
const LONGEST_CGROUPS: u64 = 64 << 10;
const LONGEST_MOUNTS: u64 = 1 << 20;
/// Digits of an id that Docker, containerd, CRI-O and Podman give.
const DIGITS: usize = 64;

/// The id of the container that a process runs in; none where it runs in none.
///
/// Its cgroups tell it, of version 1 or 2. One at the root of its own cgroup namespace shows nothing there: then the
/// files that a runtime puts over `/etc/hostname` and its like do.
///
/// # Errors
/// The process is gone, or may not be looked at.
pub fn container_id(pid: u32) -> io::Result<Option<String>> {
    Ok(match of_cgroups(&cgroups(pid)?) {
        Cgroups::Container(id) => Some(id.to_owned()),
        Cgroups::None => None,
        Cgroups::Hidden => of_mounts(&read(pid, "mountinfo", LONGEST_MOUNTS)?).map(str::to_owned),
    })
}

/// What is written in `/proc/PID/cgroup`: a line for each hierarchy.
///
/// # Errors
/// The process is gone, or may not be looked at.
pub fn cgroups(pid: u32) -> io::Result<String> {
    read(pid, "cgroup", LONGEST_CGROUPS)
}

fn read(pid: u32, file: &str, longest: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{pid}/{file}"))?.take(longest).read_to_end(&mut bytes)?;
    // A path may hold any bytes.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What `/proc/PID/cgroup` says.
#[derive(Debug, PartialEq, Eq)]
enum Cgroups<'a> {
    Container(&'a str),
    None,
    /// Every path is the root.
    Hidden,
}

fn of_cgroups(cgroups: &str) -> Cgroups<'_> {
    // hierarchy:controllers:path, and the path may hold colons.
    let paths = || cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    if let Some(id) = paths().find_map(of_path) {
        return Cgroups::Container(id);
    }
    if paths().all(|path| path == "/") { Cgroups::Hidden } else { Cgroups::None }
}

/// The innermost folder that is named after a container. What runs beside one, such as its monitor, is not in it.
fn of_path(path: &str) -> Option<&str> {
    path.rsplit('/').find_map(|folder| {
        let name = folder.strip_suffix(".scope").unwrap_or(folder);
        let (runtime, id) = name.rsplit_once(['-', ':']).unwrap_or(("", name));
        (is_id(id) && !runtime.ends_with("conmon")).then_some(id)
    })
}

/// The container whose files are mounted over those that each has of its own. A sandbox of Kubernetes, which has its
/// own folder, is none.
fn of_mounts(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?, fields.next()?);
        if !matches!(mount_point, "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf") {
            return None;
        }
        let mut folders = root.split('/');
        folders.find(|folder| matches!(*folder, "containers" | "overlay-containers"))?;
        folders.find(|folder| is_id(folder))
    })
}

fn is_id(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn cgroups_of_each_runtime_tell_the_container() {
        for path in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/docker/ID/init",
            "/kubepods/burstable/pod6a2f1c2e-1111-2222-3333-444455556666/ID",
            "/kubepods.slice/kubepods-pod6a2f1c2e.slice/cri-containerd-ID.scope",
            "/system.slice/containerd.service/kubepods-burstable-pod6a2f.slice:cri-containerd:ID",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod6a.slice/crio-ID.scope",
            "/kubepods.slice/crio-ID.scope/container",
            "/machine.slice/libpod-ID.scope/container",
            "/../../burstable/pod6a/ID",
            "/../cri-containerd-ID.scope",
            "/ecs/0123456789abcdef/ID",
        ] {
            let path = path.replace("ID", ID);
            for lines in [format!("0::{path}\n"), format!("5:cpu,cpuacct:{path}\n1:name=systemd:/init.scope\n0::/\n")] {
                assert_eq!(of_cgroups(&lines), Cgroups::Container(ID), "{lines}");
            }
        }
    }

    #[test]
    fn what_is_in_no_container_has_none() {
        for path in [
            "/user.slice/user-1000.slice/session-3.scope",
            "/system.slice/ssh.service",
            "/kubepods.slice/crio-conmon-ID.scope",
            "/machine.slice/libpod-conmon-ID.scope",
            "/docker/IDab",
        ] {
            assert_eq!(of_cgroups(&format!("0::{}\n", path.replace("ID", ID))), Cgroups::None, "{path}");
        }
        assert_eq!(of_cgroups("12:cpu:/\n0::/\n"), Cgroups::Hidden);
        assert_eq!(of_cgroups("no line of a kernel"), Cgroups::Hidden);
    }

    #[test]
    fn an_inner_container_counts() {
        let other = ID.replace('0', "f");
        let line = format!("0::/docker/{ID}/docker/{other}\n");
        assert_eq!(of_cgroups(&line), Cgroups::Container(&other));
    }

    #[test]
    fn mounts_tell_where_cgroups_do_not() {
        let line = |root: &str, point: &str| {
            format!("733 712 254:1 {} {point} rw,relatime - ext4 /dev/vda1 rw\n", root.replace("ID", ID))
        };
        for (root, point, found) in [
            ("/var/lib/docker/containers/ID/hostname", "/etc/hostname", true),
            ("/var/lib/docker/containers/ID/resolv.conf", "/etc/resolv.conf", true),
            ("/var/lib/containers/storage/overlay-containers/ID/userdata/hosts", "/etc/hosts", true),
            ("/var/lib/docker/containers/ID/hostname", "/mnt/other", false),
            ("/io.containerd.grpc.v1.cri/sandboxes/ID/hostname", "/etc/hostname", false),
            ("/etc/hostname", "/etc/hostname", false),
        ] {
            let mounts = line("/", "/") + &line(root, point);
            assert_eq!(of_mounts(&mounts), found.then_some(ID), "{root}");
        }
    }

    #[test]
    fn ones_own_can_be_asked_for() {
        container_id(std::process::id()).unwrap();
        assert!(container_id(u32::MAX).is_err());
    }
}
