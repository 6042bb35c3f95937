//! A repository, through the `git` program.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use alloy_syntax::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::address::Address;
use crate::config::ReadError;

/// The longest that one call of git may take: a configuration waits for it. Only the last commit is fetched.
const DEADLINE: Duration = Duration::from_secs(60);
/// Most bytes of what git writes that are read; a server may go on forever.
const MAX_OUTPUT: u64 = 64 << 10;
/// Most of it that is shown.
const MAX_SHOWN: usize = 1000;

/// The reference that keeps the last commit from being cleared away.
const LATEST: &str = "refs/flamegate/latest";

/// Where a repository is, and who asks for it.
pub(super) struct Access {
    address: Address,
    login: Login,
}

enum Login {
    None,
    /// The value of an Authorization header.
    Web(Secret),
    Key {
        username: String,
        key: Secret,
    },
    KeyFile {
        username: String,
        file: PathBuf,
    },
}

/// A local copy of the last commit.
pub(super) struct Repository {
    address: Address,
    revision: String,
    git_folder: PathBuf,
    /// Beside the process' own; not among the arguments, which everyone on the host may read.
    environment: Vec<(String, String)>,
}

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error("import.git needs the git program, which is not installed here: install the package git")]
    NoGit,
    #[error("git {what} cannot be started: {error}")]
    Start { what: &'static str, error: io::Error },
    #[error("git {what} took longer than {DEADLINE:?}")]
    Deadline { what: &'static str },
    #[error("git {what} failed ({status}): {said}")]
    Failed { what: &'static str, status: ExitStatus, said: String },
    #[error("git says {0:?}, which is no commit")]
    NoCommit(String),
    #[error("the key cannot be kept in a file: {0}")]
    Key(io::Error),
    #[error("{} in the repository: {error}", path.display())]
    Path { path: PathBuf, error: io::Error },
    #[error("{} leads out of the repository", .0.display())]
    Outside(PathBuf),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("reading broke off: {0}")]
    Aborted(tokio::task::JoinError),
}

impl Access {
    pub(super) fn open(address: Address) -> Self {
        Self { address, login: Login::None }
    }

    pub(super) fn with_password(address: Address, username: &str, password: &Secret) -> Self {
        let encoded = STANDARD.encode(format!("{username}:{}", password.expose()));
        Self { address, login: Login::Web(Secret::new(format!("Basic {encoded}"))) }
    }

    pub(super) fn with_key(address: Address, username: &str, key: &Secret) -> Self {
        Self { address, login: Login::Key { username: username.to_owned(), key: key.clone() } }
    }

    pub(super) fn with_key_file(address: Address, username: &str, file: &Path) -> Self {
        Self { address, login: Login::KeyFile { username: username.to_owned(), file: file.to_owned() } }
    }
}

impl Repository {
    /// In a folder of its own, which holds nothing yet.
    pub(super) fn new(access: Access, revision: String, folder: &Path) -> Result<Self, GitError> {
        let Access { address, login } = access;
        let mut settings = vec![
            // Nothing that a repository or the host brings is run.
            ("core.hooksPath".to_owned(), "/dev/null".to_owned()),
            ("core.fsmonitor".to_owned(), "false".to_owned()),
            ("init.defaultBranch".to_owned(), "main".to_owned()),
            // Commits that were replaced are cleared away now and then, before git ends.
            ("gc.autoDetach".to_owned(), "false".to_owned()),
            ("maintenance.autoDetach".to_owned(), "false".to_owned()),
            ("gc.pruneExpire".to_owned(), "now".to_owned()),
            // What git starts for a transfer outlives git's own end by this much at most.
            ("http.lowSpeedLimit".to_owned(), "1".to_owned()),
            ("http.lowSpeedTime".to_owned(), "30".to_owned()),
        ];
        let mut ssh = "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15".to_owned();
        match login {
            Login::None => {}
            Login::Web(authorization) => {
                let header = format!("Authorization: {}", authorization.expose());
                settings.push((format!("http.{}.extraHeader", address.as_str()), header));
            }
            Login::Key { username, key } => {
                let file = folder.join("key");
                keep(&key, &file).map_err(GitError::Key)?;
                ssh.push_str(&identity(&username, &file));
            }
            Login::KeyFile { username, file } => {
                let file = std::path::absolute(&file).map_err(GitError::Key)?;
                ssh.push_str(&identity(&username, &file));
            }
        }
        let mut environment = vec![
            ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
            ("GIT_CONFIG_GLOBAL".to_owned(), "/dev/null".to_owned()),
            ("GIT_ATTR_NOSYSTEM".to_owned(), "1".to_owned()),
            ("GIT_TEMPLATE_DIR".to_owned(), String::new()),
            ("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned()),
            ("GIT_ASKPASS".to_owned(), "true".to_owned()),
            ("GIT_ALLOW_PROTOCOL".to_owned(), "file:git:http:https:ssh".to_owned()),
            ("GIT_LFS_SKIP_SMUDGE".to_owned(), "1".to_owned()),
            ("GIT_SSH_COMMAND".to_owned(), ssh),
            ("LC_ALL".to_owned(), "C".to_owned()),
            ("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string()),
        ];
        for (index, (name, value)) in settings.into_iter().enumerate() {
            environment.push((format!("GIT_CONFIG_KEY_{index}"), name));
            environment.push((format!("GIT_CONFIG_VALUE_{index}"), value));
        }
        Ok(Self { address, revision, git_folder: folder.join("repository"), environment })
    }

    /// Fetches the last commit of the revision; its hash.
    pub(super) async fn fetch(&self) -> Result<String, GitError> {
        if !self.git_folder.is_dir() {
            self.git("init", &["init", "--quiet", "--bare"]).await?;
        }
        let (address, refspec) = (self.address.as_str(), format!("+{}:{LATEST}", self.revision));
        let fetch = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", address, &refspec];
        self.git("fetch", &fetch).await?;
        let commit = self.git("rev-parse", &["rev-parse", "--verify", &format!("{LATEST}^{{commit}}")]).await?;
        let commit = commit.trim();
        // It names a folder.
        if commit.len() < 40 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(GitError::NoCommit(commit.to_owned()));
        }
        Ok(commit.to_owned())
    }

    /// Writes the files of a commit to a folder, which is there when all of them are.
    pub(super) async fn check_out(&self, commit: &str, folder: &Path) -> Result<(), GitError> {
        let making = folder.with_extension("making");
        let failed = |error| GitError::Path { path: making.clone(), error };
        match tokio::fs::remove_dir_all(&making).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        tokio::fs::create_dir(&making).await.map_err(failed)?;
        let tree = format!("--work-tree={}", making.display());
        // Not `checkout`: that would compare with what it wrote elsewhere before.
        self.git("read-tree", &["read-tree", commit]).await?;
        self.git("checkout-index", &[&tree, "checkout-index", "--quiet", "--all", "--force"]).await?;
        tokio::fs::rename(&making, folder).await.map_err(failed)
    }

    /// Runs git to its end; what it wrote to standard output.
    async fn git(&self, what: &'static str, arguments: &[&str]) -> Result<String, GitError> {
        let mut command = Command::new("git");
        // What the process was started with may point git elsewhere.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
            command.env_remove(name);
        }
        let mut folder = std::ffi::OsString::from("--git-dir=");
        folder.push(&self.git_folder);
        command
            .arg(folder)
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => GitError::NoGit,
            _ => GitError::Start { what, error },
        })?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let run = async { tokio::join!(child.wait(), read(output), read(errors)) };
        let (status, output, errors) =
            tokio::time::timeout(DEADLINE, run).await.map_err(|_| GitError::Deadline { what })?;
        let status = status.map_err(|error| GitError::Start { what, error })?;
        if status.success() {
            return Ok(output);
        }
        Err(GitError::Failed { what, status, said: shown(&errors) })
    }
}

/// Reads a stream to its end, and keeps its beginning.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut bytes = Vec::new();
    // A stream that breaks has ended; the status tells whether that was well.
    let _read = (&mut stream).take(MAX_OUTPUT).read_to_end(&mut bytes).await;
    let _rest = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What git said, on one line: the end of it, where the reason stands.
fn shown(errors: &str) -> String {
    let lines: Vec<&str> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join("; ");
    match text.char_indices().rev().nth(MAX_SHOWN) {
        Some((start, _)) => format!("…{}", text.get(start..).unwrap_or_default()),
        None => text,
    }
}

/// Options of ssh. git hands them to a shell.
fn identity(username: &str, file: &Path) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let (user, file) = (quote(&format!("User={username}")), quote(&file.display().to_string()));
    format!(" -o IdentitiesOnly=yes -o {user} -i {file}")
}

/// Writes a key where nobody else can read it, as ssh demands.
fn keep(key: &Secret, file: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(key.expose().trim_end().as_bytes())?;
    // Without a line break at its end ssh does not take it for one.
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn ssh_command(repository: &Repository) -> &str {
        &repository.environment.iter().find(|(name, _)| name == "GIT_SSH_COMMAND").unwrap().1
    }

    #[test]
    fn a_key_is_kept_for_the_process_alone() {
        let folder = tempfile::tempdir().unwrap();
        let address = || Address::parse("git@host:x").unwrap();
        let access = Access::with_key(address(), "it's me", &Secret::new("KEY"));
        let repository = Repository::new(access, "main".to_owned(), folder.path()).unwrap();
        let file = folder.path().join("key");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "KEY\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let options = format!(r" -o IdentitiesOnly=yes -o 'User=it'\''s me' -i '{}'", file.display());
        assert!(ssh_command(&repository).ends_with(&options), "{}", ssh_command(&repository));

        let access = Access::with_key_file(address(), "git", Path::new("/keys/$(x)"));
        let repository = Repository::new(access, "main".to_owned(), folder.path()).unwrap();
        assert!(ssh_command(&repository).ends_with(" -i '/keys/$(x)'"), "{}", ssh_command(&repository));
    }

    #[test]
    fn what_git_says_is_shown_by_its_end() {
        assert_eq!(shown("a\n\n  b \n"), "a; b");
        let long = shown(&format!("{}the reason", "x".repeat(5000)));
        assert!(long.starts_with('…') && long.ends_with("the reason") && long.chars().count() <= MAX_SHOWN + 2);
    }
}
