//! `discovery.docker`, asking Podman's service, which speaks as Docker does.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::eventually;
use tempfile::TempDir;

use super::{Target, becomes, component, values};

/// A daemon in namespaces of its own, and all that it starts: with it everything ends.
struct Podman {
    namespaces: Child,
    folder: TempDir,
}

/// Nothing outside of the namespaces is changed: the containers' control groups, network and processes are theirs.
const SERVICE: &str = "mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs none /run && mount -t tmpfs none /var/lib && \
                       ip link set lo up && exec podman --root \"$0/root\" \
                       --runroot \"$0/run\" --tmpdir \"$0/tmp\" --network-config-dir \"$0/networks\" --storage-driver vfs \
                       --cgroup-manager cgroupfs --events-backend none system service --time 0 \"unix://$0/socket\"";

impl Podman {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("networks")).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", SERVICE]);
        let output = fs::File::create(folder.path().join("output")).unwrap();
        unshare.arg(folder.path()).stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let namespaces = unshare.spawn().unwrap_or_else(|error| panic!("unshare: {error}"));
        let podman = Self { namespaces, folder };
        let listens = async || std::os::unix::net::UnixStream::connect(podman.socket()).ok();
        eventually("podman listens", listens).await.unwrap_or_else(|error| panic!("{error}\n{}", podman.output()));
        podman.import();
        podman
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// What the daemon wrote.
    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// An image of one program, which needs no registry.
    fn import(&self) {
        let bin = self.folder.path().join("image/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        symlink("busybox", bin.join("sleep")).unwrap();
        let archive = self.folder.path().join("image.tar");
        let tar = Command::new("tar")
            .arg("-C")
            .arg(self.folder.path().join("image"))
            .arg("-cf")
            .arg(&archive)
            .arg(".")
            .status();
        assert!(tar.unwrap().success());
        self.ask([OsStr::new("import"), archive.as_os_str(), OsStr::new("localhost/sleeping:1")]);
    }

    /// A container that sleeps.
    fn run(&self, name: &str, more: &[&str]) -> String {
        let fixed =
            ["run", "--detach", "--cgroups=disabled", "--ulimit=nofile=20000:20000", "--ulimit=nproc=1000:1000"];
        let program = ["localhost/sleeping:1", "/bin/sleep", "100000"];
        self.ask(fixed.iter().chain(&["--name", name]).chain(more).chain(&program))
    }

    /// A command of podman's, done by the daemon.
    fn ask(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let url = format!("unix://{}", self.socket().display());
        let output = Command::new("podman").args(["--remote", "--url", &url]).args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}\n{}", self.output());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _gone = self.namespaces.kill();
        let _gone = self.namespaces.wait();
    }
}

fn configuration(socket: &Path, filter: &str) -> String {
    let host = socket.display();
    format!("discovery.docker \"local\" {{\n  host = \"unix://{host}\"\n  refresh_interval = \"500ms\"\n{filter}}}\n")
}

const ID: &str = "discovery.docker.local";

fn names(targets: &[Target]) -> Vec<String> {
    values(targets, "__meta_docker_container_name")
}

#[tokio::test]
async fn containers_are_found_as_they_come_and_go() {
    let podman = Podman::start().await;
    podman.ask(["network", "create", "--label", "team.name=a", "back"]);
    let web = podman.run("web", &["--network=back", "--label=com.example.app=shop", "--publish=127.0.0.1:18080:8080"]);
    let flamegate = Flamegate::start(&configuration(&podman.socket(), ""), &[]).await.unwrap();
    let found = becomes(&flamegate, ID, "targets", |targets| names(targets) == ["/web"]).await;
    let target = &found[0];
    let ip = &target["__meta_docker_network_ip"];
    assert!(ip.starts_with("10.") && target["__address__"] == format!("{ip}:8080"), "{target:?}");
    for (name, value) in [
        ("container_id", web.as_str()),
        ("container_label_com_example_app", "shop"),
        ("network_name", "back"),
        ("network_label_team_name", "a"),
        ("network_scope", "local"),
        ("network_internal", "false"),
        ("port_private", "8080"),
        ("port_public", "18080"),
        ("port_public_ip", "127.0.0.1"),
    ] {
        assert_eq!(target[&format!("__meta_docker_{name}")], value, "{name}: {target:?}");
    }

    podman.run("db", &["--network=back"]);
    let found = becomes(&flamegate, ID, "targets", |targets| targets.len() == 2).await;
    let db = found.iter().find(|target| target["__meta_docker_container_name"] == "/db").unwrap();
    assert!(db["__address__"].ends_with(":80"), "{db:?}");
    podman.ask(["rm", "--force", "--time=0", "web"]);
    becomes(&flamegate, ID, "targets", |targets| names(targets) == ["/db"]).await;

    podman.run("cache", &["--network=back", "--label=role=cache"]);
    let filter = "  filter {\n    name = \"label\"\n    values = [\"role=cache\"]\n  }\n";
    flamegate.reload(&configuration(&podman.socket(), filter)).await.unwrap();
    becomes(&flamegate, ID, "targets", |targets| names(targets) == ["/cache"]).await;
    drop(podman);
    let unhealthy = async || (component(&flamegate, ID).await["health"]["state"] == "unhealthy").then_some(());
    eventually("nobody answers", unhealthy).await.unwrap();
    becomes(&flamegate, ID, "targets", |targets| names(targets) == ["/cache"]).await;
}
