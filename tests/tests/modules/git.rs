//! `import.git`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::eventually;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Marking, NESTED, marking};

/// A repository on this host.
struct Repository(TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and commits everything.
    fn commit(&self, name: &str, text: &str) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), text).unwrap();
        self.commit_all();
    }

    fn commit_all(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=x"]);
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        let user = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgSign=false"];
        git.arg("-C").arg(self.0.path()).args(user).args(arguments);
        let output = git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn import(&self, path: &str, more: &str) -> String {
        let url = self.0.path().display();
        format!(
            "import.git \"lib\" {{\nrepository = \"file://{url}\"\npath = \"{path}\"\npull_frequency = \"200ms\"\n{more}\n}}"
        )
    }
}

#[tokio::test]
async fn commits_change_what_runs() {
    let repository = Repository::new();
    repository.commit("modules/outer.alloy", &NESTED.replace("\"inner.alloy\"", "\"modules\", \"inner.alloy\""));
    repository.commit("modules/inner.alloy", &marking("one"));
    let first = repository.git(&["rev-parse", "HEAD"]);
    let run = Marking::start(&repository.import("modules/outer.alloy", "")).await;
    assert_eq!(run.edge().await, "one");
    for edge in ["two", "three", "four"] {
        repository.commit("modules/inner.alloy", &marking(edge));
        run.becomes(edge).await;
    }
    repository.commit("modules/inner.alloy", "declare {");
    run.becomes_unhealthy("import.git.lib").await;
    assert_eq!(run.edge().await, "four");
    repository.commit("modules/inner.alloy", &marking("five"));
    run.becomes("five").await;
    run.becomes_healthy().await;

    // Another branch, a tag and a commit.
    repository.git(&["tag", "v1"]);
    repository.git(&["checkout", "--quiet", "-b", "feature/x"]);
    repository.commit("modules/inner.alloy", &marking("branch"));
    let reload = async |revision: &str| {
        let import = repository.import("modules/outer.alloy", &format!("revision = \"{revision}\""));
        run.flamegate.reload(&super::configuration(&import, &run.backend.url())).await.unwrap();
    };
    for (revision, edge) in [("feature/x", "branch"), ("v1", "five"), (&first, "one"), ("HEAD", "branch")] {
        reload(revision).await;
        run.becomes(edge).await;
    }

    // The repository is away, and comes back.
    let away = repository.at(".git-away");
    fs::rename(repository.at(".git"), &away).unwrap();
    run.becomes_unhealthy("import.git.lib").await;
    assert_eq!(run.edge().await, "branch");
    fs::rename(&away, repository.at(".git")).unwrap();
    run.becomes_healthy().await;
    repository.commit("modules/inner.alloy", &marking("back"));
    run.becomes("back").await;
}

#[tokio::test]
async fn a_folder_of_a_repository_is_a_module() {
    let repository = Repository::new();
    repository.commit("lib/mark.alloy", &marking("one"));
    let run = Marking::start(&repository.import("lib", "")).await;
    assert_eq!(run.edge().await, "one");
    // What it kept on disk is gone when it is no longer wanted.
    let kept = || {
        let command = Command::new("find").arg(run.flamegate.folder()).args(["-name", "mark.alloy"]).output().unwrap();
        String::from_utf8(command.stdout).unwrap().lines().count()
    };
    assert_eq!(kept(), 1);
    fs::write(repository.at("string.alloy"), marking("string")).unwrap();
    let other = super::import_file(&repository.at("string.alloy"));
    run.flamegate.reload(&super::configuration(&other, &run.backend.url())).await.unwrap();
    run.becomes("string").await;
    eventually("the checkout is gone", async || (kept() == 0).then_some(())).await.unwrap();
}

#[tokio::test]
async fn what_a_power_cut_leaves_is_cleared_away() {
    let repository = Repository::new();
    repository.commit("mark.alloy", &marking("one"));
    let import = repository.import("mark.alloy", "");
    let run = Marking::start(&import).await;
    let configuration = super::configuration(&import, &run.backend.url());
    let folder = run.flamegate.kill_into_folder().await.unwrap();
    let component = folder.path().join("data/import.git.lib");
    let kept = || fs::read_dir(&component).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let [left] = kept().try_into().unwrap();
    let flamegate = Flamegate::start_in(folder, &configuration, &[]).await.unwrap();
    eventually("it is gone", async || (!left.exists()).then_some(())).await.unwrap();
    assert_eq!(kept().len(), 1);
    drop(flamegate);
}

#[tokio::test]
async fn what_leads_out_of_the_repository_or_nowhere_is_refused() {
    let repository = Repository::new();
    repository.commit("lib.alloy", &marking("one"));
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x.alloy"), marking("outside")).unwrap();
    symlink(outside.path().join("x.alloy"), repository.at("link.alloy")).unwrap();
    fs::create_dir(repository.at("folder")).unwrap();
    symlink(outside.path().join("x.alloy"), repository.at("folder/link.alloy")).unwrap();
    symlink("lib.alloy", repository.at("inside.alloy")).unwrap();
    repository.commit_all();
    let run = Marking::start(&repository.import("inside.alloy", "")).await;
    assert_eq!(run.edge().await, "one");
    for (path, more, says) in [
        ("link.alloy", "", "link.alloy leads out of the repository"),
        ("folder", "", "folder/link.alloy leads out of the repository"),
        ("none.alloy", "", "none.alloy in the repository: No such file"),
        ("../x", "", "must be a path inside the repository"),
        ("lib.alloy", "revision = \"none\"", "couldn't find remote ref none"),
        ("lib.alloy", "revision = \"--upload-pack=x\"", "is no revision"),
    ] {
        let refusal = run.refusal(&repository.import(path, more)).await;
        assert!(refusal.contains(says), "{path} {more}: {refusal}");
        assert_eq!(run.edge().await, "one");
    }
    let import = "import.git \"lib\" {\nrepository = \"file:///none\"\npath = \"x\"\n}";
    let refusal = run.refusal(import).await;
    assert!(refusal.contains("git fetch failed") && refusal.contains("/none"), "{refusal}");
}

#[tokio::test]
async fn a_web_server_is_told_who_asks() {
    let repository = Repository::new();
    repository.commit("lib.alloy", &marking("one"));
    let run = Marking::start(&repository.import("lib.alloy", "")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let import = format!(
        "import.git \"lib\" {{\nrepository = \"http://{address}/x.git\"\npath = \"lib.alloy\"\nbasic_auth {{\nusername = \
         \"u\"\npassword = \"p\"\n}}\n}}"
    );
    let refusal = run.refusal(&import).await;
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("GET /x.git/info/refs") && asked.contains("Authorization: Basic dTpw\r\n"), "{asked}");
    assert!(refusal.contains("403") && !refusal.contains("dTpw"), "{refusal}");
}
