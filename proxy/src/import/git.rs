//! `import.git`: a module from a repository, pulled from time to time.

use std::path::{Component as Step, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, Secret, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use self::address::Address;
use self::checkout::Checkouts;
use self::repository::{Access, GitError, Repository};
use super::Imported;
use crate::component::{Component, Context, Health};
use crate::config::Sources;
use crate::latest::{Latest, Reread};

mod address;
mod checkout;
mod repository;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = ImportGitArguments::validate)]
pub struct ImportGitArguments {
    /// Whatever `git clone` takes.
    #[alloy(attr)]
    repository: String,
    /// A branch, a tag, or a whole commit hash.
    #[alloy(attr, default = "main".to_owned())]
    revision: String,
    /// A file in the repository, or a folder whose `*.alloy` files are one module.
    #[alloy(attr)]
    path: String,
    /// How often the repository is pulled; 0 for once.
    #[alloy(attr, default = Duration::from_secs(60))]
    pull_frequency: Duration,
    /// A user of the repository's web server.
    #[alloy(block, optional)]
    basic_auth: Option<BasicAuthArguments>,
    /// A user of the repository's SSH server.
    #[alloy(block, optional)]
    ssh_key: Option<SshKeyArguments>,
}

#[derive(Debug, Clone, PartialEq, Arguments)]
struct BasicAuthArguments {
    /// The user's name.
    #[alloy(attr)]
    username: String,
    /// The user's password, or a token.
    #[alloy(attr)]
    password: Secret,
}

#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(unsupported("passphrase"))]
struct SshKeyArguments {
    /// The user's name.
    #[alloy(attr)]
    username: String,
    /// The private key.
    #[alloy(attr, optional)]
    key: Secret,
    /// A file with the private key.
    #[alloy(attr, optional)]
    key_file: String,
}

impl ImportGitArguments {
    fn validate(&self) -> Result<(), Invalid> {
        self.access()?;
        self.inner_path()?;
        self.checked_revision().map(drop)
    }

    /// Where the repository is, and who asks for it.
    fn access(&self) -> Result<Access, Invalid> {
        let address = Address::parse(&self.repository).map_err(|error| Invalid::attribute("repository", error))?;
        match (&self.basic_auth, &self.ssh_key) {
            (None, None) => Ok(Access::open(address)),
            (Some(_), Some(_)) => Err(Invalid::block("at most one of basic_auth and ssh_key must be configured")),
            (Some(BasicAuthArguments { username, password }), None) if address.is_web() => {
                Ok(Access::with_password(address, username, password))
            }
            (Some(_), None) => {
                Err(Invalid::attribute("basic_auth", "only a repository at an http or https URL takes it"))
            }
            (None, Some(SshKeyArguments { username, key, key_file })) => {
                let at = |message: &str| Invalid::attribute("ssh_key", message);
                if key.is_empty() == key_file.is_empty() {
                    return Err(at("exactly one of key and key_file must be configured"));
                }
                let Some(user) = address.ssh_user() else {
                    return Err(at("only a repository at ssh://host/path or user@host:path takes it"));
                };
                if user.is_some_and(|user| user != username) {
                    return Err(at("username is another one than in the repository's address"));
                }
                if key.is_empty() {
                    Ok(Access::with_key_file(address, username, Path::new(key_file)))
                } else {
                    Ok(Access::with_key(address, username, key))
                }
            }
        }
    }

    fn checked_revision(&self) -> Result<&str, Invalid> {
        let revision = self.revision.as_str();
        let refused = |message: &str| Err(Invalid::attribute("revision", format!("{revision:?} {message}")));
        // HEAD is what the repository itself shows; the others are names of a clone's own past.
        if ["FETCH_HEAD", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD"].contains(&revision) {
            return refused("is a special git reference: name a branch, a tag or a commit");
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\+".contains(c);
        if revision.is_empty() || revision.starts_with('-') || revision.contains(odd) || revision.contains("..") {
            return refused("is no revision: name a branch, a tag or a whole commit hash");
        }
        Ok(revision)
    }

    fn inner_path(&self) -> Result<PathBuf, Invalid> {
        let path = Path::new(&self.path);
        let inside = path.components().all(|step| matches!(step, Step::Normal(_) | Step::CurDir));
        let of_git = path.components().any(|step| step.as_os_str().eq_ignore_ascii_case(".git"));
        if self.path.is_empty() || !inside || of_git {
            let message = format!("{:?} must be a path inside the repository, from its root, without ..", self.path);
            return Err(Invalid::attribute("path", message));
        }
        Ok(path.to_owned())
    }
}

/// The import.
pub struct ImportGit {
    module: Arc<Module>,
    pull_frequency: Duration,
    latest: Latest<Imported>,
}

/// A path of a repository.
struct Module {
    repository: Repository,
    checkouts: Checkouts,
    path: PathBuf,
    /// The import's own name, for whoever reads what is wrong in the module.
    name: String,
}

impl Component for ImportGit {
    const NAME: &'static str = "import.git";
    const SUMMARY: &'static str = "Brings custom components from a git repository, and follows its commits.";
    type Arguments = ImportGitArguments;

    fn build(arguments: &ImportGitArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let failed = |error: String| Invalid::attribute("repository", format!("cannot pull the module: {error}"));
        let (access, revision) = (arguments.access()?, arguments.checked_revision()?.to_owned());
        let previous = previous.map(|previous| &previous.module.checkouts);
        let checkouts = Checkouts::new(&context.folder(), previous).map_err(|error| failed(error.to_string()))?;
        let repository = Repository::new(access, revision, checkouts.folder());
        let module = Module {
            repository: repository.map_err(|error| failed(error.to_string()))?,
            checkouts,
            path: arguments.inner_path()?,
            name: context.component.to_string(),
        };
        // A configuration is prepared on a thread that may block.
        let runtime = Handle::try_current().map_err(|error| failed(error.to_string()))?;
        let module = Arc::new(module);
        let imported = runtime.block_on(module.pull()).map_err(|error| failed(error.to_string()))?;
        Ok(Self { module, pull_frequency: arguments.pull_frequency, latest: Latest::new(imported, context) })
    }

    fn exports(&self) -> Value {
        self.latest.content().exports()
    }

    fn health(&self) -> Option<Health> {
        Some(self.latest.health())
    }

    fn activate(&self) {
        let module = self.module.clone();
        tokio::task::spawn_blocking(move || module.checkouts.remove_forgotten());
        if !self.pull_frequency.is_zero() {
            self.latest.follow(Pulled { module: self.module.clone(), every: self.pull_frequency });
        }
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.latest.stop();
        futures_util::future::ready(()).boxed()
    }
}

struct Pulled {
    module: Arc<Module>,
    every: Duration,
}

impl Reread for Pulled {
    type Content = Imported;
    type Error = GitError;

    async fn next(&mut self) -> Result<Imported, GitError> {
        tokio::time::sleep(self.every).await;
        self.module.pull().await
    }
}

impl Module {
    async fn pull(self: &Arc<Self>) -> Result<Imported, GitError> {
        let commit = self.repository.fetch().await?;
        let checkout = self.checkouts.of(&commit);
        if !checkout.is_dir() {
            self.repository.check_out(&commit, &checkout).await?;
        }
        let module = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let read = module.read(&checkout);
            if read.is_ok() {
                module.checkouts.keep(&checkout);
            } else {
                module.checkouts.discard(&checkout);
            }
            read
        });
        read.await.map_err(GitError::Aborted)?
    }

    fn read(&self, checkout: &Path) -> Result<Imported, GitError> {
        let missing = |error| GitError::Path { path: self.path.clone(), error };
        let root = checkout.canonicalize().map_err(missing)?;
        let inside = |path: &Path| path.canonicalize().map(|real| real.starts_with(&root)).map_err(missing);
        let path = checkout.join(&self.path);
        // A link may lead anywhere on this host.
        if !inside(&path)? {
            return Err(GitError::Outside(self.path.clone()));
        }
        for name in checkout::modules_in(&path).map_err(missing)? {
            if !inside(&name)? {
                return Err(GitError::Outside(name.strip_prefix(checkout).unwrap_or(&name).to_owned()));
            }
        }
        let mut files = Sources::read(&path)?.files;
        for file in &mut files {
            let inner = Path::new(&file.name).strip_prefix(checkout).unwrap_or(Path::new(&file.name));
            file.name = format!("{}/{}", self.name, inner.display());
        }
        let module_path = checkout.display().to_string().into();
        Ok(Imported { files, module_path, remote: false })
    }
}

#[cfg(test)]
mod tests;
